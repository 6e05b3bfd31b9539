import t from 'tap'
import { createFleet } from '../support/fleet.ts'
import {
  checkAnswers,
  checkTurn,
  outage,
  restart,
  retriedDuring,
  startAgain,
  turnTogether,
} from '../support/fleet-checks.ts'
import { haproxyInstalled, startHaproxy } from '../support/haproxy.ts'

/*
 * A fleet behind HAProxy, with deploy/haproxy/haproxy.cfg: the short form of fleet.full.test.ts.
 */

const needsHaproxy = { skip: haproxyInstalled ? false : 'HAProxy is not installed' }

t.test(
  'three servers go on while one restarts and one dies, and turn to a version together',
  needsHaproxy,
  async (t) => {
    const fleet = await createFleet(t, { versions: ['1', '2'], rate: 50, startBalancer: startHaproxy })
    if (typeof fleet === 'string') return t.pass(fleet, { skip: fleet })
    await restart(fleet, 's3')
    const death = await outage(fleet, 's1', 'SIGKILL')
    await startAgain(fleet, 's1')
    const at = await turnTogether(fleet, '2')
    await fleet.stopClient()
    checkAnswers(t, fleet, [death])
    checkTurn(t, fleet, '2', at)
    t.ok(retriedDuring(fleet, death) > 0, 'requests of the dead server were sent to another one')
  },
)

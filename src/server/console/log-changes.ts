import { logDropReasons } from '../../schemas/outcomes.ts'
import type { Reading, Readings } from './reading.ts'
import { type Change, error, info, warning } from './traffic-changes.ts'

/** Why requests are missing; those that the disk does not take are a change of their own. */
const missing = {
  full: 'its thread does not keep up',
  too_large: 'they are larger than a quarter of its buffer',
  unreadable: 'they could not be read again, as the server’s log says',
}

/** Changes of the prediction log of all processes together, which write to one folder. */
export function changesOfLog(before: Readings, now: Readings): Change[] {
  const problem = problemIn(now)
  const changes: Change[] = []
  if (problem !== undefined)
    // For as long as it lasts.
    changes.push(
      error(
        'prediction_log_failing',
        `The prediction log can’t be written (${problem}): requests are answered, and not recorded`,
      ),
    )
  else if (problemIn(before) !== undefined && now.answered.length > 0)
    changes.push(info('prediction_log_writable', 'The prediction log can be written again'))
  const known = new Map(before.answered.map((reading) => [reading.pid, reading]))
  for (const reason of logDropReasons)
    if (reason !== 'disk' && now.answered.some((reading) => hasGrown(reason, known.get(reading.pid), reading)))
      changes.push(warning('prediction_log_drops', `Requests are missing from the prediction log: ${missing[reason]}`))
  return changes
}

const problemIn = ({ answered }: Readings) => answered.find(({ log }) => log?.problem !== undefined)?.log?.problem

const hasGrown = (reason: keyof typeof missing, before: Reading | undefined, now: Reading): boolean =>
  before?.log !== undefined && now.log !== undefined && now.log.dropped[reason] > before.log.dropped[reason]

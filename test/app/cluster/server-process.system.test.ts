import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { ServerProcess } from '../../../src/app/cluster/server-process.ts'

const nothing = async () => undefined as never
const events = {
  ...{
    serving: nothing,
    ready: nothing,
    loaded: nothing,
    taken: nothing,
    liveness: nothing,
    failed: nothing,
    stop: nothing,
  },
  ...{ leaving: nothing, metrics: nothing, reasons: nothing, statistics: nothing, slow: nothing, requests: nothing },
  ...{
    request: nothing,
    observations: nothing,
    drift: nothing,
    logCounts: nothing,
    live_history: nothing,
    live: nothing,
  },
  ...{ change: nothing, usage: nothing },
}
const start = {
  configuration: {} as never,
  url: '',
  adminUrl: undefined,
  started: false,
  introduces: false,
  unloaded: [],
}
/** It takes what it is told, and answers nothing. */
const mute = new URL('../../support/mute-process.js', import.meta.url)

t.test('what a process is asked ends with it, though a connection was on its way there', async (t) => {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined)
  const [socket] = (await once(server, 'connection')) as [Socket]
  t.teardown(() => {
    client.destroy()
    socket.destroy()
    server.close()
  })

  const member = new ServerProcess(start, events, mute)
  process.kill(member.pid!, 'SIGSTOP')
  // Node reports no disconnection from here on, and keeps back what is sent after it.
  member.give({ socket, port: 'main' })
  const answers = Promise.all([
    member.change({ action: 'load', model: 'ads', by: 'ci' }),
    member.unreadyReasons(),
    member.change({ action: 'unload', model: 'ads', by: 'ci' }),
  ])
  member.kill()
  t.equal(await member.ended, 'SIGKILL')
  const settled = new Promise((resolve) => setImmediate(resolve, 'nothing'))
  t.same(await Promise.race([answers, settled]), [undefined, [`process ${member.pid} is being started`], undefined])
  t.equal(await member.change({ action: 'load', model: 'ads', by: 'ci' }), undefined)
})

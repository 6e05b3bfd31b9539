import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../support/bundle.ts'
import { watchLive } from '../support/events.ts'
import { send } from '../support/process.ts'
import { isAlive, serving, startTwo } from '../support/processes.ts'
import { until } from '../support/until.ts'

const payload = JSON.stringify({ context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] })

t.test('the stream of several processes: sums of all, and what happens to them', async (t) => {
  const folder = await temporaryFolder(t)
  await writeTestBundle(folder)
  const server = await startTwo(t, { MULTIGATE_MODELS: folder, MULTIGATE_POLL_SECONDS: '0.2' })
  const { port } = server
  const { samples, sum, happened } = await watchLive(t, port)
  await until(() => samples().some(({ processes }) => processes.length === 2))
  for (let i = 0; i < 10; i++) t.equal((await send(port, '/predict', { payload })).status, 200)
  await until(() => Math.round(sum(({ requests }) => requests)) >= 10)
  t.equal(Math.round(sum(({ requests }) => requests)), 10)

  // Clients that leave before their history is there take no places.
  for (let i = 0; i < 100; i++) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    socket.end('GET /console/live HTTP/1.1\r\nhost: x\r\n\r\n', () => socket.destroy())
  }
  await pause(1500)
  for (let i = 0; i < 4; i++) {
    const { answer, leave } = await watchLive(t, port)
    t.equal(answer.status, 200)
    await leave()
  }

  await writeTestBundle(folder, { version: '2' })
  await until(() => happened().some(({ text }) => text === 'Version 2 of ads answers, after version 1'))

  // While its own process stands still, the stream says nothing; it must live.
  let other: number | undefined
  for (const pid of serving(server)) {
    const silent = () => happened().some(({ kind, text }) => kind === 'process_silent' && text.includes(`${pid}`))
    process.kill(pid, 'SIGSTOP')
    await pause(2500)
    if (silent()) other = pid
    process.kill(pid, 'SIGCONT')
    await until(silent)
    await until(() => happened().some(({ kind, text }) => kind === 'process_answers' && text.includes(`${pid}`)))
  }
  if (other === undefined) throw new Error('the stream did not report the other process while it stood still')
  process.kill(other, 'SIGKILL')
  await until(() => happened().some(({ kind, text }) => kind === 'process_ended' && text.includes(`${other}`)))
  await until(() => happened().some(({ kind }) => kind === 'process_started'))
  t.notOk(isAlive(other))
})

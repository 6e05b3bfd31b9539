import { Agent } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { watchLive } from '../../support/events.ts'
import { send } from '../../support/process.ts'
import { isAlive, serving, startTwo } from '../../support/processes.ts'
import { until } from '../../support/until.ts'

const payload = JSON.stringify({ context: { country: 'DE', hour: 21 }, candidates: [{ campaign: 'c9', price: 1.25 }] })

t.test('the stream of several processes: sums of all, and what happens to them', async (t) => {
  const folder = await temporaryFolder(t)
  await writeTestBundle(folder)
  const server = await startTwo(t, { MULTIGATE_MODELS: folder, MULTIGATE_POLL_SECONDS: '0.2' })
  const { port } = server
  const { seen, samples, sum, happened } = await watchLive(t, port)
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
  const swapped = 'Version 2 of ads answers, after version 1 (by a change of the files)'
  await until(() => happened().some(({ text, by }) => text === swapped && by === 'file'))

  // While its own process stands still, the stream says nothing; it must live.
  let other: number | undefined
  for (const pid of serving(server)) {
    const silent = () => happened().some(({ kind, text }) => kind === 'process_silent' && text.includes(`${pid}`))
    process.kill(pid, 'SIGSTOP')
    let [events, heard] = [seen.length, Date.now()]
    while (!silent() && Date.now() - heard < 4000) {
      if (seen.length > events) [events, heard] = [seen.length, Date.now()]
      await pause(50)
    }
    if (silent()) other = pid
    process.kill(pid, 'SIGCONT')
    await until(silent)
    const again = ['process_answers', 'process_stalled']
    await until(() => happened().some(({ kind, text }) => again.includes(kind) && text.includes(`${pid}`)))
  }
  if (other === undefined) throw new Error('the stream did not report the other process while it stood still')
  const killed = Date.now()
  process.kill(other, 'SIGKILL')
  const ending = `Process ${other} was ended by SIGKILL, by somebody or for lack of memory; it held `
  await until(() => happened().some(({ kind, text }) => kind === 'process_ended' && text.startsWith(ending)))
  await until(() => happened().some(({ kind }) => kind === 'process_started'))
  t.notOk(isAlive(other))
  const silences = happened().filter(({ kind, text }) => kind === 'process_silent' && text.includes(`${other}`))
  t.equal(new Set(silences.map(({ id }) => id)).size, 1, 'one that is gone is not called silent')
  t.ok(
    silences.every(({ until }) => until < killed),
    'nor is it later',
  )
})

t.test('what a version was asked is counted by all processes together', async (t) => {
  const folder = await temporaryFolder(t)
  const drift = {
    features: { country: { ids: [1, 3], shares: [0.2, 0.4, 0.4] } },
    tasks: { ctr: { edges: [0.5], shares: [0.5, 0.5] } },
  }
  await writeTestBundle(folder, { manifest: { drift } })
  const { port } = await startTwo(t, { MULTIGATE_MODELS: folder })
  const clients = Array.from({ length: 4 }, () => new Agent({ keepAlive: true, maxSockets: 1 }))
  t.teardown(() => {
    for (const agent of clients) agent.destroy()
  })
  const ask = async (agent: Agent, path: string) => JSON.parse((await send(port, path, { agent })).text)
  await Promise.all(
    clients.map(async (agent) => {
      for (let i = 0; i < 300; i++) t.equal((await send(port, '/predict', { agent, payload })).status, 200)
    }),
  )
  const shown = await Promise.all(clients.map((agent) => ask(agent, '/models/ads/versions/1/distributions')))
  const counted = shown.map(({ fields }) => fields[0])
  for (const field of counted) t.match(field, { name: 'country', observations: 1200, bins: [{ now: 1 }, {}, {}] })
  t.equal(new Set(counted.map(({ psi }) => psi)).size, 1)
  const drifts = await Promise.all(
    clients.map(async (agent) => (await ask(agent, '/models')).models[0].versions[0].drift),
  )
  t.match(drifts[0], { kind: 'feature', name: 'country' })
  t.equal(new Set(drifts.map(({ psi }) => psi)).size, 1, 'whichever process answers')
})

import { Agent } from 'node:http'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { type Answer, send } from '../../support/process.ts'
import { askAnew, isAlive, metric, serving, startTwo } from '../../support/processes.ts'
import { until } from '../../support/until.ts'

const models = await temporaryFolder(t)
await writeTestBundle(models)
await writeTestBundle(models, { name: 'other' })
const predict = JSON.stringify({ model: 'other', candidates: [{ hour: 3, campaign: 'c', price: 1 }] })

t.test('a model is unloaded and loaded in all processes, in those that come later too', async (t) => {
  const server = await startTwo(t, {
    MULTIGATE_MODELS: models,
    MULTIGATE_DEFAULT_MODEL: 'ads',
    MULTIGATE_ADMIN: 'true',
    MULTIGATE_POLL_SECONDS: '0.2',
  })
  const { port } = server
  /** Connections go to the processes in turn: of four, each gets two. */
  const ofAll = (path: string, payload?: string): Promise<Answer[]> =>
    Promise.all(
      [1, 2, 3, 4].map(() =>
        payload === undefined ? askAnew(port, path) : send(port, path, { agent: new Agent(), payload }),
      ),
    )
  const statuses = async () => [...new Set((await ofAll('/v2/models/other/ready')).map(({ status }) => status))]
  const change = (action: string, model = 'other') =>
    send(port, `/v2/repository/models/${model}/${action}`, { agent: new Agent(), payload: '{}' })

  t.same(
    (await ofAll('/predict', predict)).map(({ status }) => status),
    [200, 200, 200, 200],
  )
  const { model_stats } = JSON.parse((await askAnew(port, '/v2/models/other/stats')).text)
  t.match(model_stats, [{ version: '1', inference_count: 4, inference_stats: { success: { count: 4 } } }])

  t.same(await statuses(), [200])
  t.equal((await change('unload')).status, 200)
  t.same(await statuses(), [503])
  const before = serving(server)
  process.kill(before[1]!, 'SIGKILL')
  await until(() => server.lines().filter(({ msg }) => msg === 'ready').length === 3)
  await until(async () => (await metric(port, 'multigate_processes ')) === 2)
  t.same(await statuses(), [503])
  t.match(
    (await ofAll('/readyz')).map(({ status }) => status),
    [200, 200, 200, 200],
  )

  t.equal((await change('load')).status, 200)
  t.same(await statuses(), [200])

  await t.test('one that is stopped is waited for by none, and follows when it runs again', async (t) => {
    const stopped = serving(server).at(-1)!
    process.kill(stopped, 'SIGSTOP')
    t.teardown(() => isAlive(stopped) && process.kill(stopped, 'SIGCONT'))
    const says = (begin: string) =>
      until(() => server.lines().some((line) => line.process === stopped && line.msg.startsWith(begin)))
    await says('a process does not answer')
    t.match(
      (await ofAll('/readyz')).map(({ status }) => status),
      [200, 200, 200, 200],
      'no connection goes to it',
    )
    t.equal(await metric(port, 'multigate_processes '), 1)
    t.equal(await metric(port, 'multigate_processes_unresponsive_total '), 1)
    const changed = await Promise.all(['unload', 'load', 'unload'].map((action) => change(action)))
    for (const { status, text } of changed) {
      t.equal(status, 503)
      t.match(text, `Process ${stopped} does not`)
    }
    t.same(await statuses(), [503], 'the other has followed')
    process.kill(stopped, 'SIGCONT')
    await says('a process answers again')
    t.equal((await change('unload')).status, 200)
    t.same(await statuses(), [503], 'it has caught up')
    t.equal((await change('load')).status, 200)
    t.same(await statuses(), [200])
  })

  await t.test('one that stands still and is killed in the middle of a change holds up none', async (t) => {
    // Each has one of these connections.
    const agents = [1, 2].map(() => new Agent({ keepAlive: true, maxSockets: 1 }))
    t.teardown(() => {
      for (const agent of agents) agent.destroy()
    })
    for (const agent of agents) t.equal((await send(port, '/livez', { agent })).status, 200)
    const started = () => serving(server).length
    const before = started()
    const victim = serving(server).at(-1)!
    process.kill(victim, 'SIGSTOP')
    const agent = await Promise.race(agents.map((agent) => send(port, '/livez', { agent }).then(() => agent)))
    const changed = send(port, '/v2/repository/models/other/unload', { agent, payload: '{}' })
    // One of these is on its way to it.
    const probes = [1, 2].map(() => askAnew(port, '/livez'))
    await Promise.race(probes)
    process.kill(victim, 'SIGKILL')
    t.equal((await changed).status, 200)
    await Promise.all(probes)
    await until(() => started() > before)
    t.equal((await change('load')).status, 200)
    await until(async () => (await metric(port, 'multigate_processes ')) === 2)
    t.same(await statuses(), [200])
  })

  const unknown = await change('load', 'nothing')
  t.match([unknown.status, JSON.parse(unknown.text)], [404, { error: 'There is no model called "nothing"' }])
})

import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { send } from '../../support/process.ts'
import { askAnew, metric, startTwo } from '../../support/processes.ts'
import { until } from '../../support/until.ts'

/*
 * Several processes turn to a version together, at the time beside it.
 */

const predict = JSON.stringify({ candidates: [{ hour: 3, campaign: 'c', price: 1 }] })

t.test('processes turn together, neither before the time nor after it', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models)
  await writeTestBundle(models, { version: '2', seed: 2 })
  const [ready, hidden] = [join(models, 'ads/2'), join(models, 'ads/.2')]
  cpSync(ready, hidden, { recursive: true })
  rmSync(ready, { recursive: true })
  const schedule = (time: string) => writeFileSync(join(models, 'ads/2.json'), JSON.stringify({ activate_at: time }))
  const { port } = await startTwo(t, { MULTIGATE_MODELS: models, MULTIGATE_POLL_SECONDS: '0.1' })

  /** Connections go to the processes in turn: each is asked twice. */
  const versions = async (): Promise<Record<string, any>[]> =>
    Promise.all(
      [1, 2, 3, 4].map(async () => {
        const { models } = JSON.parse((await askAnew(port, '/models')).text)
        return models[0].versions.find(({ version }: { version: string }) => version === '2') ?? {}
      }),
    )
  const all = async (state: string) => (await versions()).every((version) => version.state === state)

  schedule('noon')
  cpSync(hidden, ready, { recursive: true })
  await until(() => all('failed'))
  t.match((await versions())[0]!.error, /^ads\/2\.json has the activate_at "noon", which is no RFC 3339 time/)
  t.equal(await metric(port, 'multigate_version_failed{model="ads",version="2",reason="invalid_bundle"} '), 1)

  const far = new Date(Date.now() + 86_400_000).toISOString()
  schedule(far)
  await until(() => all('scheduled'))
  t.equal((await versions())[0]!.activate_at, far)
  const gauge = 'multigate_version_activation_timestamp_seconds{model="ads",version="2"} '
  t.equal(await metric(port, gauge), Date.parse(far) / 1000)

  const answers: { version: string; sent: number; received: number }[] = []
  let going = true
  const clients = [1, 2, 3, 4].map(async () => {
    while (going) {
      const sent = Date.now()
      const { status, text } = await send(port, '/predict', { payload: predict })
      if (status !== 200) throw new Error(text)
      answers.push({ version: JSON.parse(text).version, sent, received: Date.now() })
    }
  })
  const at = Date.now() + 2000
  schedule(new Date(at).toISOString())
  await until(async () => (await metric(port, gauge)) === at / 1000)
  await until(() => all('ready'))
  await until(async () => answers.some(({ sent }) => sent >= at))
  going = false
  await Promise.all(clients)
  const [early, late] = [answers.filter(({ received }) => received < at), answers.filter(({ sent }) => sent >= at)]
  t.ok(early.length > 0 && late.length > 0, `${early.length} answers before the time, ${late.length} requests after it`)
  t.same([...new Set(early.map(({ version }) => version))], ['1'])
  t.same([...new Set(late.map(({ version }) => version))], ['2'])
  t.equal(await metric(port, gauge), 0)
})

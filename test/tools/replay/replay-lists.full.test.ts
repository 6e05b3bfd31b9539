import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { serve } from '../../../src/app/listen.ts'
import { readConfiguration } from '../../../src/base/configuration.ts'
import { logFiles } from '../../../src/prediction-log/log-records.ts'
import { parseGate } from '../../../src/tools/replay/gate.ts'
import type { RunReplayOptions } from '../../../src/tools/replay/run-replay.ts'
import { replayOf as replay } from '../../support/replay.ts'
import { trained } from '../../support/trained-lists.ts'

/*
 * A version with a sequence, a weighted list and a vector answers requests; version 2 has the vocabulary of the
 * sequence in another order.
 */

const { folder } = await trained(t)
const [models, log] = [join(folder, 'models'), join(folder, 'log')]
await cp(join(models, 'views/1'), join(models, 'views/2'), { recursive: true })
const path = join(models, 'views/2/manifest.json')
const manifest = JSON.parse(await readFile(path, 'utf8'))
const item = manifest.features.find(({ name }: { name: string }) => name === 'item')
item.values = [...item.values.slice(3), ...item.values.slice(0, 3)]
await writeFile(path, JSON.stringify({ ...manifest, version: '2', golden: undefined }))

const { configuration } = readConfiguration({}, {})
const server = await serve({
  ...configuration,
  ...{ MULTIGATE_PORT: 0, MULTIGATE_MODELS: models, MULTIGATE_WORKERS: 1, MULTIGATE_DEADLINE_MS: 60_000 },
  ...{ MULTIGATE_DRAIN_DELAY_MS: 0, MULTIGATE_WARM_UP_MS: 0, MULTIGATE_LOG_LEVEL: 'silent' as never },
  ...{ MULTIGATE_PREDICTION_LOG: log, MULTIGATE_VERSIONS: 'all' as const },
})
let isClosed = false
t.teardown(() => isClosed || server.close())
await server.loaded
const several = <T>(length: number, of: (i: number) => T) => Array.from({ length }, (_, i) => of(i))
for (let i = 0; i < 30; i++) {
  const candidate = (j: number) => ({
    ...{ id: `c${j}`, item: `i${(i + j) % 8}`, image: [i / 30, j / 8], size: j / 8 },
    tags: { values: several(j % 3, (k) => `t${k}`), weights: several(j % 3, (k) => 0.2 + i + 3 * k) },
  })
  const context = { hour: i % 24, viewed: several(i % 5, (k) => `i${(i + k) % 8}`), ages: several(i % 5, (k) => k) }
  const answer = await fetch(`${server.url}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ version: '1', context, candidates: several(8, candidate) }),
  })
  if (answer.status !== 200) throw new Error(await answer.text())
}

const replayOf = (options: Partial<RunReplayOptions>) =>
  replay({ log, models, model: 'views', against: '1', ...options })

t.test('a service compares its versions by the values of lists', async (t) => {
  const { report } = await replayOf({ against: '2', baseline: '1', service: { url: server.url } })
  t.match(report, { after: 'views/2', before: 'views/1' })
  t.ok(report.tasks[0]!.largest > 0)
  await server.close()
  isClosed = true
})

t.test('lists with their weights, and vectors, have the recorded answers again', async (t) => {
  const { report, code } = await replayOf({ gate: parseGate('same=1') })
  t.match(report, { requests: 30, rows: 240 })
  t.equal(code, 0, JSON.stringify(report.conditions))
})

t.test('a request may have more candidates than versions take at a time', async (t) => {
  const large = join(folder, 'large')
  await cp(log, large, { recursive: true })
  const [file] = await logFiles(large)
  const [line] = (await readFile(file!.path, 'utf8')).split('\n')
  const record = JSON.parse(line!)
  const candidates = several(6000, (position) => ({ ...record.candidates[position % 8], position }))
  await writeFile(file!.path, `${JSON.stringify({ ...record, candidates })}\n`)
  const { report, code } = await replayOf({ log: large, gate: parseGate('same=1') })
  t.match(report, { requests: 1, rows: 6000 })
  t.equal(code, 0)
})

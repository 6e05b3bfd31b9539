import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type CapacityReport, formatCapacity } from '../../../src/tools/capacity/capacity-report.ts'
import { planCapacity } from '../../../src/tools/capacity/estimate.ts'
import { drawTableKeys } from '../../../src/tools/load/table-keys.ts'
import { adsById, adsByIdFeatures, importAdsById } from '../../support/ads-by-id.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { runCli, spawnCli } from '../../support/cli.ts'

const models = join(import.meta.dirname, '../../../../models')
// Any machine, however busy, keeps this bound.
const bound = '60000'
const common = ['capacity', '--models', models, '--model', 'census-income', '--seconds', '0.2', '--candidates', '100']

t.test('a model is measured and the demand computed, as JSON and as a table', async (t) => {
  const cache = t.testdir()
  const { code, stdout, stderr } = await spawnCli([...common, '--rate', '500', '--p99', bound, '--json'], {
    MULTIGATE_CACHE: cache,
    // The measured server needs no key.
    MULTIGATE_KEYS: join(cache, 'no-such-file'),
  })
  t.equal(code, 0, stderr)
  const { demand, measured, plan }: CapacityReport = JSON.parse(stdout)
  t.equal(measured.target, 'census-income/1')
  t.equal(measured.cost.points.length, 4)
  for (const { rate, utilisation, processor, eventLoop } of measured.cost.points) {
    t.ok(rate > 0 && utilisation > 0 && processor > 0)
    t.ok(eventLoop > 0 && eventLoop <= processor * 1.01, `${eventLoop} of ${processor}`)
    // Processor time per request, times the rate, is the use of the server's cores.
    t.ok(Math.abs((rate * processor) / 1e6 / (utilisation * measured.cost.cores) - 1) < 0.01)
  }
  t.ok(measured.cost.bytesIn > 100 && measured.cost.bytesOut > 100)
  t.ok(measured.engine.length > 0 && measured.engine.every(({ request }) => request > 0))
  // Whether candidates are looked up depends on what the variants cost on this machine.
  t.equal(measured.cached === undefined, measured.entryBytes === undefined)
  // On a busy machine, batches change between variants, and those that look nothing up find nothing: 0.8 is the most
  // there is.
  if (measured.cached !== undefined)
    t.ok(measured.cached > 0 && measured.cached < 0.95, `${measured.cached}, not 0.8 or less`)
  const table = formatCapacity({ demand, measured, plan })
  t.match(
    table,
    /^census-income\/1: 500 requests\/s of 100 candidates, p99 within 60000 ms, 80 % of the candidates cached\n/,
  )
  for (const line of [
    /\nprocessor time per request +[\d.]+ µs\n/,
    /\npods +\d+ of 4 cores, \d+ in each of 3 zones; /,
    /\nsettings per pod +MULTIGATE_PROCESSES=\d MULTIGATE_WORKERS=\d\b/,
    /\nnetwork in +[\d.]+ Mbit\/s; per pod /,
    /\ncost per million predictions +[\d.e-]+ /,
    /\nThe (event loop dominates|workers dominate): \d+ % of the processor time/,
    /\nAssumptions:\n- Requests are named columns as JSON/,
  ])
    t.match(table, line)
  t.same(plan, JSON.parse(JSON.stringify(planCapacity(demand, measured.cost, measured.entryBytes))))
})

t.test('requests by id have keys that tables beside the models have', async (t) => {
  const models = await temporaryFolder(t)
  await writeTestBundle(models, { name: 'ads-by-id', manifest: { features: adsByIdFeatures, entities: adsById } })
  await importAdsById(models)
  const args = ['capacity', '--models', models, '--seconds', '0.2', '--candidates', '20', '--rate', '10']
  const ad = { key: 'ad_id', side: 'candidate', features: ['campaign', 'price'] }
  const user = { key: 'user_id', side: 'context', features: ['country', 'segment'] }
  const draw = () => drawTableKeys(models, adsById, () => 0.5)
  t.same(await draw(), [
    { ...ad, keys: ['ad-1', 'ad-2'] },
    { ...user, keys: ['u1'] },
  ])
  const gone = join(models, 'gone.csv')
  await writeFile(gone, 'id\nad-1\n')
  t.equal((await runCli(['features', 'delta', 'ads', '--remove', gone, '--models', models])).code, 0)
  t.same((await draw())[0], { ...ad, keys: ['ad-2'] })
  await writeTestBundle(models, { name: 'by-value' })
  const wrong = await runCli([...args, '--model', 'by-value', '--p99', bound, '--by-id'])
  t.match(wrong, { code: 1, stderr: /^--by-id: the manifest names no entities$/m })
})

t.test('what is wrong is said in one line', async (t) => {
  const fails = async (args: string[], code: number, message: RegExp) => {
    const result = await runCli(['capacity', ...args])
    t.equal(result.code, code)
    t.match(result.stderr, message)
    t.equal(result.stdout, '')
  }
  const good = ['--models', models, '--rate', '100', '--p99', '20']
  await fails([], 2, /^error: required option '--models <folder>' not specified\n/)
  await fails(['--models', models, '--model', 'x', '--p99', '1'], 2, /^error: required option '--rate <number>'/)
  await fails(
    [...good, '--model', 'x', '--cached', '80'],
    2,
    /^error: .*'--cached <share>'.* must be a number from 0 to 1\.\n/,
  )
  await fails([...good, '--model', 'x', '--pod-cores', '1.5'], 2, /must be a whole number from 1 to 256\.\n/)
  await fails(
    [...good, '--model', 'census-incom'],
    1,
    /^--model: there is no model census-incom in .*; did you mean census-income\?\n$/,
  )
  await fails(
    ['--models', '/no/such', '--model', 'x', '--rate', '1', '--p99', '1'],
    1,
    /^--models: [^\n]*\/no\/such[^\n]*\n$/,
  )
})

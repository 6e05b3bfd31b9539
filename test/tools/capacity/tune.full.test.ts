import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { TuneReport } from '../../../src/tools/capacity/tune-report.ts'
import { runCli } from '../../support/cli.ts'

const models = join(import.meta.dirname, '../../../../models')
const common = ['tune', '--models', models, '--model', 'census-income', '--candidates', '1', '--seconds', '0.4']

t.test('settings are tried on real servers, reported and plotted', async (t) => {
  const plot = join(t.testdir(), 'tune.svg')
  const { code, stdout, stderr } = await runCli(
    [...common, '--p99', '10000', '--settings', 'batch-rows', '--json', '--plot', plot],
    { MULTIGATE_WORKERS: '1', MULTIGATE_MAX_BATCH_ROWS: '1024' },
  )
  t.equal(code, 0, stderr)
  const report: TuneReport = JSON.parse(stdout)
  t.match(report.current, { MULTIGATE_PROCESSES: 1, MULTIGATE_WORKERS: 1, MULTIGATE_MAX_BATCH_ROWS: 1024 })
  t.same(
    report.trials.map(({ settings }) => settings.MULTIGATE_MAX_BATCH_ROWS),
    [1024, 64],
  )
  for (const { goodput, p50, p99, processor } of report.trials)
    t.ok(goodput > 0 && p50 > 0 && p99 >= p50 && processor > 0)
  if (!report.confirmation?.confirmed) t.same(report.recommended, report.current)
  t.match(stderr, /^current settings: [\d,]+ requests\/s with p99 within 10000 ms\nMULTIGATE_MAX_BATCH_ROWS=64: /)
  t.match(await readFile(plot, 'utf8'), /^<svg [\s\S]+<\/svg>\n$/)
})

t.test('what is wrong is said in one line', async (t) => {
  const fails = async (args: string[], code: number, message: RegExp) => {
    const result = await runCli([...common, ...args])
    t.equal(result.code, code)
    t.match(result.stderr, message)
    t.equal(result.stdout, '')
  }
  await fails([], 2, /^error: required option '--p99 <ms>' not specified\n/)
  await fails(
    ['--p99', '20', '--settings', 'threads'],
    2,
    /must be a list of processes, batch-rows, delay; there is no threads\.\n/,
  )
  await fails(
    ['--p99', '20', '--plot', '/no/such/folder/tune.svg'],
    1,
    /^--plot: \/no\/such\/folder\/tune\.svg can't be written: it is missing\n$/,
  )
})

t.test('an infeasible bound is named, with the lowest latency', async (t) => {
  const { code, stderr } = await runCli([...common, '--p99', '0.01'])
  t.equal(code, 1)
  t.match(stderr, /^--p99 0\.01: not feasible with the current settings at any measured rate[^\n]*\n$/)
})

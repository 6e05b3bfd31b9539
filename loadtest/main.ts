import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { reasonOf } from '../src/base/errors.ts'
import { readArguments } from './arguments.ts'
import { compareReports } from './competitors/against.ts'
import { readComparisonArguments } from './competitors/arguments.ts'
import * as competitors from './competitors/report.ts'
import { addTo, type ComparisonReport } from './competitors/results.ts'
import { runComparison } from './competitors/run.ts'
import { describeMachine } from './machine.ts'
import { writeReadme } from './readme.ts'
import { toMarkdown } from './report.ts'
import { runLoadTest } from './run.ts'

// `exit` also ends the child processes.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  process.on(signal, () => process.exit(code))

const started = performance.now()
const seconds = () => ((performance.now() - started) / 1000).toFixed(0).padStart(3)
const log = (line: string) => console.error(`${seconds()} s  ${line}`)

/** Measurements that print a page of their own. */
const measurements: Record<string, () => Promise<typeof import('./stalls.ts').measureStalls>> = {
  capacity: async () => (await import('./capacity.ts')).measureCapacity,
  catalogue: async () => (await import('./catalogue.ts')).measureCatalogue,
  chaos: async () => (await import('./chaos/chaos.ts')).measureChaos,
  console: async () => (await import('./console-cost.ts')).measureConsole,
  evaluate: async () => (await import('./evaluate.ts')).measureEvaluate,
  'live-tables': async () => (await import('./live-tables.ts')).measureLiveTables,
  memory: async () => (await import('./memory/memory.ts')).measureMemory,
  models: async () => (await import('./many-models.ts')).measureModels,
  'narrow-tables': async () => (await import('./narrow-tables.ts')).measureNarrowTables,
  residency: async () => (await import('./resident-models.ts')).measureResidency,
  scale: async () => (await import('./scale/scale.ts')).measureScale,
  small: async () => (await import('./small-requests.ts')).measureSmall,
  start: async () => (await import('./start.ts')).measureStart,
  stalls: async () => (await import('./stalls.ts')).measureStalls,
  swaps: async () => (await import('./swaps.ts')).measureSwaps,
  training: async () => (await import('./training.ts')).measureTraining,
  tenants: async () => (await import('./tenants.ts')).measureTenants,
}

try {
  const [command, ...rest] = process.argv.slice(2)
  if (command === 'competitors') await compareWithCompetitors(rest)
  else if (command !== undefined && Object.hasOwn(measurements, command))
    await (await measurements[command]!())(rest, await describeMachine(new Date()), log)
  else await measure(process.argv.slice(2))
  process.exit(0)
} catch (error) {
  console.error(`the load test failed: ${reasonOf(error)}`)
  process.exit(1)
}

async function measure(argv: string[]): Promise<void> {
  const options = readArguments(argv)
  const report = await runLoadTest(options, await describeMachine(new Date()), log)
  await tell(toMarkdown(report), report, options.out)
  if (options.readme) await writeReadme({ own: report })
}

async function compareWithCompetitors(argv: string[]): Promise<void> {
  const options = readComparisonArguments(argv)
  const measured = options.from
    ? await readReport(options.from)
    : await runComparison(options, await describeMachine(new Date()), log)
  const report = options.add && options.out ? addTo(await readReport(jsonOf(options.out)), measured) : measured
  await tell(competitors.toMarkdown(report), report, options.out)
  if (options.readme) await writeReadme({ competitors: report })
  if (options.against) console.log(`\n${compareReports(await readReport(options.against), measured)}`)
  const failed = measured.cells.flatMap(({ server, closed }) => closed.map(({ errors }) => ({ server, errors })))
  const ours = failed.find(({ server, errors }) => server === 'multigate' && errors > 0)
  if (ours) throw new Error(`${ours.errors} requests of a closed loop failed, see above`)
}

async function readReport(file: string): Promise<ComparisonReport> {
  return JSON.parse(await readFile(file, 'utf8')) as ComparisonReport
}

async function tell(markdown: string, report: unknown, out: string | undefined): Promise<void> {
  console.log(`\n${markdown}`)
  if (out === undefined) return
  const file = resolve(out)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, markdown)
  await writeFile(jsonOf(file), `${JSON.stringify(report, null, 2)}\n`)
  log(`written to ${out}`)
}

function jsonOf(file: string): string {
  return file.replace(/(\.md)?$/, '.json')
}

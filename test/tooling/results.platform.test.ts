import { spawnSync } from 'node:child_process'
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

/** Root of the project: this file runs from build/test/tooling. */
const root = fileURLToPath(new URL('../../../', import.meta.url))
const run = (...args: string[]) =>
  spawnSync(process.execPath, [join(root, 'scripts/results.mjs'), ...args], { encoding: 'utf8' })

interface Run {
  part: string
  variant: string
  seed: number
  weights: number
  epochs: number
  tasks: Record<string, { rows: number; auc: { value: number } }>
}
interface Raw {
  runs: Run[]
}
type TrainRuns = (
  experiment: object,
  raw: Raw,
  options: { seeds: number; only?: string; signal: AbortSignal; keep(raw: Raw): Promise<void> },
) => Promise<void>

const part = 'whole test half'
const estimate = (value: number, half = 0) => ({ value, low: value - half, high: value + half })
/** A run of census-income: AUC of the first task, ± `half` over rows, its ECE, and AUC .99 of the second. */
function figures(variant: string, seed: number, auc: number, ece: number, half: number) {
  const income_50k = { rows: 1234, auc: estimate(auc, half), ece: estimate(ece) }
  const never_married = { rows: 1234, auc: estimate(0.99, half / 2), ece: estimate(0) }
  return { part, variant, seed, weights: 1000, tasks: { income_50k, never_married } }
}
const raw = {
  machine: { processor: 'a processor', node: '20.0.0', multigate: '0.0.0' },
  runs: [
    figures('multi_gate', 3, 0.96, 0.003, 0.03),
    figures('multi_gate', 1, 0.94, 0.001, 0.01),
    figures('multi_gate', 2, 0.95, 0.002, 0.02),
    figures('shared_bottom', 1, 0.93, 0.001, 0.01),
    figures('shared_bottom', 2, 0.95, 0.001, 0.03),
    figures('ple', 3, 0.97, 0.004, 0.02),
  ],
}
const folderWith = (
  t: Test,
  text: unknown,
  page = 'before\n<!-- census-income -->\nold\n<!-- /census-income -->\nafter\n',
) =>
  t.testdir({
    'results.md': page,
    results: { 'census-income.json': typeof text === 'string' ? text : JSON.stringify(text) },
  })

t.test('tables are rendered from the figures of runs, with t-intervals over seeds', async (t) => {
  const docs = folderWith(t, raw)
  const { status, stderr } = run('census-income', '--render', '--docs', docs)
  t.equal(stderr, '')
  t.equal(status, 0)
  const text = await readFile(join(docs, 'results.md'), 'utf8')
  t.match(text, /^before\n<!-- census-income -->\n\n\| [\s\S]* \|\n\n- .*\n- .*\n\n<!-- \/census-income -->\nafter\n$/)
  t.notMatch(text, 'old')
  const rows = text.split('\n').filter((line) => line.startsWith('| `'))
  // Three seeds, deviation .01: .95 ± 4.303 · .01 ÷ √3. The ECE's lower end is not below 0.
  // Two seeds, deviation .0141: .94 ± 12.706 · .01, but an AUC is at most 1. One seed has no interval.
  // Differences of the same seed: −.01 and 0, so −.005 ± 12.706 · .005, where unpaired intervals would be wider.
  t.strictSame(rows, [
    '| `shared_bottom` | 1,000 | 2 | .9400 (.8129 … 1.0000) | .9900 (.9900 … .9900) | .00100 (.00100 … .00100) | .00000 (.00000 … .00000) | .9361 / .9915 |',
    '| `multi_gate` | 1,000 | 3 | .9500 (.9252 … .9748) | .9900 (.9900 … .9900) | .00200 (.00000 … .00448) | .00000 (.00000 … .00000) | .9410 / .9926 |',
    '| `ple` | 1,000 | 1 | .9700 | .9900 | .00400 | .00000 | – |',
    '| `shared_bottom` | −.0050 (−.0685 … +.0585) | .0000 (.0000 … .0000) |',
    '| `ple` | +.0100 | .0000 |',
  ])
  t.match(text, '- `npm run results -- census-income`: multigate 0.0.0, Node.js 20.0.0, a processor, one thread\n')
  // The mean of .03, .01, .02, .01, .03 and .02.
  t.match(text, '1,234 test rows, which leave open: AUC of `income_50k` ± .0200, AUC of `never_married` ± .0100\n')
})

t.test('models trained elsewhere stand below the others, and one without seeds beside each seed', async (t) => {
  const of = (variant: string, auc: number, seed?: number) => ({
    ...{ part: 'by time', variant, seed },
    ...(seed !== undefined && { weights: 1000 }),
    tasks: { liked: { rows: 9, auc: estimate(auc) }, loved: { rows: 9, auc: estimate(auc) } },
  })
  const trained = { ...raw, runs: [of('plain', 0.6, 1), of('plain', 0.62, 2), of('din', 0.7, 1), of('din', 0.71, 2)] }
  const others = { runs: [of('trees_on_counts', 0.8)] }
  const docs = t.testdir({
    'results.md': '<!-- movielens-history -->\n<!-- /movielens-history -->\n',
    results: {
      'movielens-history.json': JSON.stringify(trained),
      'movielens-history-baselines.json': JSON.stringify(others),
    },
  })
  t.equal(run('movielens-history', '--render', '--docs', docs).stderr, '')
  const rows = (await readFile(join(docs, 'results.md'), 'utf8')).split('\n').filter((line) => line.startsWith('| by'))
  t.match(rows[2], '| by time | `trees_on_counts` | – | – | .8000 | .8000 |')
  // .8 − .6 and .8 − .62.
  t.match(rows[4], '| by time | `trees_on_counts` | +.1900 (+.0629 … +.3171) |')
})

t.test('the tables of docs/results.md are those of the figures beside it', async (t) => {
  const page = await readFile(join(root, 'docs/results.md'), 'utf8')
  const names = [...page.matchAll(/<!-- \/(.*) -->/g)].map(([, name]) => name!)
  t.ok(names.includes('census-income'))
  const docs = t.testdir({ 'results.md': page })
  await cp(join(root, 'docs/results'), join(docs, 'results'), { recursive: true })
  for (const name of names) t.equal(run(name, '--render', '--docs', docs).stderr, '')
  t.equal(await readFile(join(docs, 'results.md'), 'utf8'), page)
})

t.test('rows are written with the part that the split puts them in', async (t) => {
  const times = [5, 1, 3, 2, 4]
  const spec = {
    data: { csv: ['rows.csv'] },
    tasks: [{ name: 'ctr', label: 'click == "1"' }],
    split: { by: 'time', column: 'time', train: 0.5, validation: 0.25, test: 0.25 },
  }
  const folder = t.testdir({
    'spec.json': JSON.stringify(spec),
    'rows.csv': `time,click\n${times.map((time) => `${time},${time % 2}\n`).join('')}`,
  })
  const script = join(root, 'scripts/write-rows.mjs')
  const written = spawnSync(process.execPath, [script, join(folder, 'spec.json'), '--parts'], { encoding: 'utf8' })
  t.equal(written.stderr, '')
  const rows = written.stdout.trim().split('\n')
  t.strictSame(
    rows.map((row) => JSON.parse(row)),
    [
      { time: '5', click: '1', part: 'test' },
      { time: '1', click: '1', part: 'train' },
      { time: '3', click: '1', part: 'train' },
      { time: '2', click: '0', part: 'train' },
      { time: '4', click: '0', part: 'validation' },
    ],
  )
})

t.test('wrong use and unreadable figures are named, and the page stays', async (t) => {
  const refused = async (text: unknown, args: string[], message: RegExp, page?: string) => {
    const docs = folderWith(t, text, page)
    const before = await readFile(join(docs, 'results.md'), 'utf8')
    const { status, stderr } = run(...args, '--docs', docs)
    t.equal(status, 1)
    t.match(stderr, message)
    t.equal(await readFile(join(docs, 'results.md'), 'utf8'), before)
  }
  await refused(raw, ['nothing'], /^name one experiment: census-income, /)
  await refused(raw, ['census-income', '--render', '--seeds', '31'], /^--seeds must be a whole number from 1 to 30/)
  await refused(raw, ['census-income', '--render', '--seeds', '1.5'], /^--seeds must be/)
  await refused(raw, ['census-income', '--only', 'aitm'], /^--only must be one of single_task, /)
  await refused(raw, ['census-income', '--render'], /has no markers <!-- census-income -->/, 'a page without markers\n')
  await refused('{', ['census-income', '--render'], /census-income\.json can't be read: /)
  await refused({}, ['census-income', '--render'], /census-income\.json can't be read: it has no runs/)
  await refused({ runs: [] }, ['census-income', '--render'], /census-income\.json holds no runs/)
})

t.test('every part and architecture is trained from every seed, once', async (t) => {
  const { trainRuns } = (await import(join(root, 'scripts/results/train-runs.mjs'))) as { trainRuns: TrainRuns }
  const tiny = { dim: 4, rows: 300 }
  type Spec = { data: object }
  const drawn = new Set<number>()
  const fields = [1, 2, 3, 4].map((i) => ({ name: `x${i}`, kind: 'numeric', scaling: 'none' }))
  const experiment = (epochs: number, keepRows = false) => ({
    spec: 'synthetic-tasks',
    parts: {
      drawn: {
        change: ({ data }: Spec, seed: number) => {
          drawn.add(seed)
          return { data: { ...data, ...tiny, seed } }
        },
      },
      fixed: { change: ({ data }: Spec) => ({ data: { ...data, ...tiny, correlation: 0 } }) },
    },
    variants: {
      shared_bottom: () => ({ fields, architecture: { name: 'shared_bottom', dims_shared: [4], dims_tasks: [] } }),
      single_task: () => ({ fields, architecture: { name: 'single_task', dims_tasks: [] } }),
    },
    training: { epochs },
    keepRows,
  })
  const raw: Raw = { runs: [] }
  const trained = async (epochs: number, options: { seeds: number; only?: string }) => {
    let runs = 0
    const keep = async () => {
      runs++
    }
    await trainRuns(experiment(epochs), raw, { ...options, signal: new AbortController().signal, keep })
    return runs
  }
  t.equal(await trained(1, { seeds: 1 }), 4)
  t.equal(await trained(1, { seeds: 1 }), 0, 'known runs are not trained again')
  t.equal(await trained(1, { seeds: 2, only: 'single_task' }), 2)
  t.strictSame([...drawn], [1, 2], 'data too can be drawn from the seed')
  const place = ({ part, variant, seed }: Run) => `${part} ${variant} ${seed}`
  t.strictSame(raw.runs.map(place), [
    ...['drawn shared_bottom 1', 'drawn single_task 1', 'fixed shared_bottom 1', 'fixed single_task 1'],
    ...['drawn single_task 2', 'fixed single_task 2'],
  ])
  const aucs = raw.runs.map(({ tasks }) => tasks.second!.auc.value)
  t.equal(new Set(aucs).size, aucs.length, 'part, architecture and seed all matter')
  t.ok(raw.runs.every(({ tasks, weights, epochs }) => tasks.first!.rows === 30 && weights > 0 && epochs === 1))
  t.equal(await trained(2, { seeds: 1, only: 'single_task' }), 2, 'a changed spec is trained again')
  t.equal(raw.runs.length, 2, 'runs of the spec before the change are dropped, other seeds too')
  const kept: Raw = { runs: [] }
  const { signal } = new AbortController()
  await trainRuns(experiment(2, true), kept, { seeds: 1, signal, keep: async () => {} })
  const figuresOf = ({ runs }: Raw) => runs.filter(({ variant }) => variant === 'single_task').map(({ tasks }) => tasks)
  t.equal(kept.runs.length, 4)
  t.strictSame(figuresOf(kept), figuresOf(raw), 'the second network on rows that are read once learns from the same')
  await t.rejects(
    trainRuns(experiment(3), raw, { seeds: 1, signal: AbortSignal.abort(new Error('stop')), keep: async () => {} }),
    /stop/,
  )
})

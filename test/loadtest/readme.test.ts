import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readArguments } from '../../loadtest/arguments.ts'
import { benchmarkTable, type Results, withTable, writeReadme } from '../../loadtest/readme.ts'

const root = join(import.meta.dirname, '../../..')
const results: Results = {
  competitors: JSON.parse(await readFile(join(root, 'loadtest/results/competitors.json'), 'utf8')),
  own: JSON.parse(await readFile(join(root, 'loadtest/results/latest.json'), 'utf8')),
}

t.test("the README's table is made from the committed results", async (t) => {
  const text = await readFile(join(root, 'README.md'), 'utf8')
  t.equal(text, withTable(text, benchmarkTable(results)))
})

t.test('it has a row for each server, and a dash for what was not measured', async (t) => {
  const rows = benchmarkTable(results).split('\n').slice(2)
  t.equal(rows.length, 6)
  for (const row of rows) t.equal(row.split(' | ').length, 7)
  const without = {
    competitors: { ...results.competitors, cells: results.competitors.cells.filter(({ server }) => server !== 'rust') },
    own: { ...results.own, openLoop: [] },
  }
  const fewer = benchmarkTable(without).split('\n').slice(2)
  t.equal(fewer[3], '| Rust: axum + ort | – | – | – | – | – | – |')
  for (const [i, row] of rows.entries())
    if (i !== 3) t.equal(row.split(' | ').slice(0, 6).join(), fewer[i]!.split(' | ').slice(0, 6).join())
})

t.test('a history is shown with new and with cached candidates', async (t) => {
  const { cells } = results.competitors
  const like = cells.find(({ server, form }) => server === 'multigate' && form === 'tensors')!
  const cellOf = (candidates: 'new' | 'seen', requestsPerSecond: number) => ({
    ...like,
    scenario: 'S5' as const,
    candidates,
    closed: [{ ...like.closed[0]!, requestsPerSecond }],
  })
  const competitors = { ...results.competitors, cells: [cellOf('new', 1234), cellOf('seen', 2345)] }
  const [row] = benchmarkTable({ competitors, own: { ...results.own, openLoop: [] } })
    .split('\n')
    .slice(2)
  t.equal(row, '| multigate | – | – | – | – | 1,234 / 2,345 | – |')
})

t.test("the share of the engine's own rate is shown where the engine was timed", async (t) => {
  const { cells } = results.competitors
  const like = cells.find(({ server, form }) => server === 'multigate' && form === 'tensors')!
  const cell = {
    ...{ ...like, scenario: 'S3' as const, candidates: 'new' as const, open: [] },
    closed: [{ ...like.closed[0]!, requestsPerSecond: 750 }],
    alone: [1900, 2000, 2500].map((warm) => ({ warm, cold: 3000, variant: 'shared_context' })),
  }
  const competitors = { ...results.competitors, cells: [cell] }
  const [header, , row] = benchmarkTable({ competitors, own: { ...results.own, openLoop: [] } }).split('\n')
  t.match(header, "new / cached | as a share of the engine's own rate | its goodput")
  t.equal(row, '| multigate | – | – | 750 | 0.75 | – | – | – |', 'two cores could answer 1,000')
})

t.test('goodput is answers in time, of the maximum', async (t) => {
  const [run] = results.own.openLoop.filter(({ target, load }) => target === 'multigate' && load === 3)
  const changed = { ...run!, seconds: 2, rate: 3000, result: { ...run!.result, good: 500 } }
  t.match(
    benchmarkTable({ ...results, own: { ...results.own, openLoop: [changed] } }),
    /^\| multigate \| .* \| 25 % \|$/m,
  )
})

t.test('a table goes between the markers of a text', async (t) => {
  const text = 'a\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nb\n'
  t.equal(withTable(text, '| new |'), 'a\n<!-- benchmark -->\n| new |\n<!-- /benchmark -->\nb\n')
  t.throws(() => withTable('no markers', ''), /no <!-- benchmark -->/)
})

t.test('results of a run replace the committed ones of its kind', async (t) => {
  const empty = '<!-- benchmark -->\n<!-- /benchmark -->'
  const folder = t.testdir({
    'README.md': empty,
    loadtest: {
      results: { 'competitors.json': JSON.stringify(results.competitors), 'latest.json': JSON.stringify(results.own) },
    },
  })
  const before = process.cwd()
  process.chdir(folder)
  t.teardown(() => process.chdir(before))
  const own = { ...results.own, openLoop: [] }
  await writeReadme({ own })
  t.equal(await readFile('README.md', 'utf8'), withTable(empty, benchmarkTable({ ...results, own })))
  const competitors = { ...results.competitors, cells: [] }
  await writeReadme({ competitors: competitors })
  t.equal(await readFile('README.md', 'utf8'), withTable(empty, benchmarkTable({ ...results, competitors })))
})

t.test('only a full run writes the README', async (t) => {
  t.equal(readArguments([]).readme, true)
  t.equal(readArguments(['--quick']).readme, false)
})

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readArguments } from '../../loadtest/arguments.ts'
import { benchmarkTable, type Results, tableOf, withTable, writeReadme } from '../../loadtest/readme.ts'

const root = join(import.meta.dirname, '../../..')
const results: Results = {
  competitors: JSON.parse(await readFile(join(root, 'loadtest/results/competitors.json'), 'utf8')),
  own: JSON.parse(await readFile(join(root, 'loadtest/results/latest.json'), 'utf8')),
}

t.test("the README's table is made from the committed results", async (t) => {
  t.equal(tableOf(await readFile(join(root, 'README.md'), 'utf8')), benchmarkTable(results))
})

t.test('it has five rows of three servers, and says what was not measured', async (t) => {
  const rows = benchmarkTable(results).split('\n').slice(2)
  t.equal(rows.length, 5)
  for (const row of rows) t.equal(row.split(' | ').length, 4)
  const without = {
    competitors: { ...results.competitors, cells: results.competitors.cells.filter(({ server }) => server !== 'rust') },
    own: { ...results.own, openLoop: [] },
  }
  const shorter = benchmarkTable(without).split('\n').slice(2)
  for (const row of shorter) t.match(row, / \| not measured \| /)
  t.equal(
    shorter[4],
    '| cheap model, 100 candidates, at 3× its maximum: goodput | not measured | not measured | not measured |',
  )
  for (const [i, row] of rows.slice(0, 4).entries()) t.equal(row.split(' | ')[1], shorter[i]!.split(' | ')[1])
})

t.test('goodput is answers in time, of the maximum', async (t) => {
  const [run] = results.own.openLoop.filter(({ target, load }) => target === 'multigate' && load === 3)
  const changed = { ...run!, seconds: 2, rate: 3000, result: { ...run!.result, good: 500 } }
  t.match(benchmarkTable({ ...results, own: { ...results.own, openLoop: [changed] } }), / goodput \| 25 % \| /)
})

t.test('a table goes between the markers of a text, and is found there', async (t) => {
  const text = 'a\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nb\n'
  t.equal(withTable(text, '| new |'), 'a\n<!-- benchmark -->\n| new |\n<!-- /benchmark -->\nb\n')
  t.equal(tableOf(text), 'old')
  t.throws(() => tableOf('no markers'), /no <!-- benchmark -->/)
})

t.test('results of a run replace the committed ones of its kind', async (t) => {
  const folder = t.testdir({
    'README.md': '<!-- benchmark -->\n<!-- /benchmark -->\n',
    loadtest: {
      results: { 'competitors.json': JSON.stringify(results.competitors), 'latest.json': JSON.stringify(results.own) },
    },
  })
  const before = process.cwd()
  process.chdir(folder)
  t.teardown(() => process.chdir(before))
  const own = { ...results.own, openLoop: [] }
  await writeReadme({ own })
  t.equal(tableOf(await readFile('README.md', 'utf8')), benchmarkTable({ ...results, own }))
  const competitors = { ...results.competitors, cells: [] }
  await writeReadme({ competitors: competitors })
  t.equal(tableOf(await readFile('README.md', 'utf8')), benchmarkTable({ ...results, competitors }))
})

t.test('only a full run writes the README', async (t) => {
  t.equal(readArguments([]).readme, true)
  t.equal(readArguments(['--quick']).readme, false)
})

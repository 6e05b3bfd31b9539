import t from 'tap'
import { adsFunnelColumns, createAdsFunnel } from '../../../src/tools/data/ads-funnel.ts'
import type { Cell } from '../../../src/tools/data/source.ts'

const options = {
  generator: 'ads-funnel',
  rows: 30_000,
  skip: 0,
  seed: 5,
  click_rate: 0.03,
  conversion_rate: 0.15,
  relation: 0.6,
} as const
const column = (name: string) => adsFunnelColumns.findIndex((candidate) => candidate.name === name)

function generate(changes: object = {}): Cell[][] {
  return [...(createAdsFunnel({ ...options, ...changes }).rows() as Iterable<Cell[]>)]
}

/** The bias of each world takes a third of a second to find. */
const rows = generate()

t.test('rows depend on the options alone', async (t) => {
  const few = generate({ rows: 50 })
  t.same(few, generate({ rows: 50 }))
  t.same(few, rows.slice(0, 50), 'more rows continue the same ones')
  t.not(JSON.stringify(few), JSON.stringify(generate({ rows: 50, seed: 6 })))
})

t.test('has the rates asked for, and outcomes follow the true probabilities', async (t) => {
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length
  const of = (name: string, among = rows) => among.map((row) => row[column(name)] as number)
  const clicked = rows.filter((row) => row[column('click')] === 1)
  t.ok(Math.abs(mean(of('p_click')) - 0.03) < 0.003)
  t.ok(Math.abs(mean(of('click')) - mean(of('p_click'))) < 0.004)
  t.ok(Math.abs(mean(of('p_conversion', clicked)) - 0.15) < 0.02)
  t.ok(Math.abs(mean(of('conversion', clicked)) - mean(of('p_conversion', clicked))) < 0.04)
  t.ok(
    rows.every((row) => row[column('conversion')] === 0 || row[column('click')] === 1),
    'no conversion without a click',
  )
})

t.test('relation is how alike the two tasks are', async (t) => {
  const correlation = (relation: number) => {
    const rows = generate({ relation, rows: 5000 })
    const logit = (name: string) =>
      rows.map((row) => Math.log((row[column(name)] as number) / (1 - (row[column(name)] as number))))
    return pearson(logit('p_click'), logit('p_conversion'))
  }
  t.ok(correlation(1) > correlation(0) && correlation(0) > correlation(-1))
})

t.test('values of less importance are missing now and then', async (t) => {
  const missing = (name: string) => rows.filter((row) => row[column(name)] === null).length / rows.length
  for (const name of ['country', 'segment', 'campaign', 'hour', 'price', 'click']) t.equal(missing(name), 0, name)
  for (const name of ['device', 'user', 'quality', 'views']) t.ok(missing(name) > 0.005 && missing(name) < 0.05, name)
})

t.test('says where a row stands', async (t) => {
  t.equal(createAdsFunnel(options).place(3), 'row 4')
})

function pearson(a: number[], b: number[]): number {
  const mean = (values: number[]) => values.reduce((x, y) => x + y, 0) / values.length
  const [ma, mb] = [mean(a), mean(b)]
  const dot = (f: (i: number) => number) => a.reduce((sum, _, i) => sum + f(i), 0)
  return (
    dot((i) => (a[i]! - ma) * (b[i]! - mb)) / Math.sqrt(dot((i) => (a[i]! - ma) ** 2) * dot((i) => (b[i]! - mb) ** 2))
  )
}

import t from 'tap'
import { adsHistoryColumns, createAdsHistory } from '../../../src/tools/data/ads-history.ts'
import type { RowCell } from '../../../src/tools/data/source.ts'

const options = {
  generator: 'ads-history',
  rows: 20_000,
  skip: 0,
  seed: 5,
  click_rate: 0.05,
  conversion_rate: 0.15,
} as const
const column = (name: string) => adsHistoryColumns.findIndex((candidate) => candidate.name === name)

function generate(changes: object = {}): RowCell[][] {
  return [...(createAdsHistory({ ...options, ...changes }).rows() as Iterable<RowCell[]>)]
}

/** The users of each world, and the biases, take a second to draw. */
const rows = generate()
const of = <T = number>(name: string, among = rows) => among.map((row) => row[column(name)] as T)
const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length

t.test('rows depend on the options alone', async (t) => {
  const few = generate({ rows: 50 })
  t.same(few, rows.slice(0, 50), 'more rows continue the same ones')
  t.same(generate({ rows: 20, skip: 30 }), few.slice(30))
  t.not(JSON.stringify(few), JSON.stringify(generate({ rows: 50, seed: 6 })))
})

t.test('has the rates asked for, and outcomes follow the true probabilities', async (t) => {
  const clicked = rows.filter((row) => row[column('click')] === 1)
  t.ok(Math.abs(mean(of('p_click')) - 0.05) < 0.004)
  t.ok(Math.abs(mean(of('click')) - mean(of('p_click'))) < 0.005)
  t.ok(Math.abs(mean(of('p_conversion', clicked)) - 0.15) < 0.02)
  t.ok(Math.abs(mean(of('conversion', clicked)) - mean(of('p_conversion', clicked))) < 0.04)
  t.ok(
    rows.every((row) => row[column('conversion')] === 0 || row[column('click')] === 1),
    'no conversion without a click',
  )
})

t.test('lists are what the fields of ads-history take', async (t) => {
  const [histories, ages] = [of<string[]>('history'), of<number[]>('history_age')]
  const campaigns = new Set(of<string>('campaign'))
  for (const [i, history] of histories.entries()) {
    const own = ages[i]!
    if (own.length !== history.length) t.fail(`row ${i}: ${own.length} ages of ${history.length} clicks`)
    if (own.some((age, k) => age <= 0 || age > (own[k - 1] ?? age))) t.fail(`row ${i}: ${own.join()} is not in order`)
  }
  t.ok(histories.flat().filter((campaign) => !campaigns.has(campaign)).length < 100, 'campaigns that are shown too')
  const lengths = histories.map(({ length }) => length)
  for (const fits of [(n: number) => n === 0, (n: number) => n > 20])
    t.ok(lengths.filter(fits).length > 1000, 'some users are new, and some have clicked more than the model reads')
  const tags = of<string[]>('tags')
  t.ok(tags.every((said) => said.length <= 5 && new Set(said).size === said.length))
  t.ok(of<number[]>('image').every((image) => image.length === 16 && image.every(Number.isFinite)))
  const missing = (name: string) => of<RowCell>(name).filter((cell) => cell === null).length / rows.length
  for (const name of ['country', 'device']) t.ok(missing(name) > 0.005 && missing(name) < 0.05, name)
})

t.test('who has clicked on a campaign clicks on it again, but not at once', async (t) => {
  const among = (fits: (age: number | undefined) => boolean) =>
    mean(
      of(
        'p_click',
        rows.filter((row) => {
          const last = (row[column('history')] as string[]).lastIndexOf(row[column('campaign')] as string)
          return fits((row[column('history_age')] as number[])[last])
        }),
      ),
    )
  const [never, today, lately, longAgo] = [
    among((age) => age === undefined),
    among((age) => age !== undefined && age < 24),
    among((age) => age !== undefined && age >= 48 && age < 240),
    among((age) => age !== undefined && age >= 1000),
  ]
  t.ok(lately > 3 * never && lately > today && lately > longAgo, [never, today, lately, longAgo].join())
})

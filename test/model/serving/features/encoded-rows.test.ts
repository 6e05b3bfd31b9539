import t from 'tap'
import { EncodedRows } from '../../../../src/model/serving/features/encoded-rows.ts'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import type { FieldColumn } from '../../../../src/model/serving/features/field-column.ts'
import type { EncodedRequest } from '../../../../src/model/serving/features/layout.ts'
import { bindField } from '../../../../src/model/serving/features/table-fields.ts'
import { CellColumn } from '../../../../src/model/serving/tables/built-columns.ts'
import { FeatureTable } from '../../../../src/model/serving/tables/feature-table.ts'
import { inMemory } from '../../../../src/model/serving/tables/merge-layers.ts'
import { StringPool } from '../../../../src/model/serving/tables/string-pool.ts'
import type { Features } from '../../../../src/schemas/features.ts'
import { createRandom } from '../../../../src/tools/data/random.ts'
import { randomCases, seed } from '../../../support/cases.ts'

/*
 * Rows of a table that are copied from those that were encoded before: answers, problems and counts are those of an
 * encoder that has met none.
 */

const side = 'candidate'
const features: Features = [
  { name: 'hour', side: 'context', kind: 'integer', size: 24, out_of_vocabulary: 'bucket', missing: { default: 24 } },
  { name: 'brand', side, kind: 'vocabulary', values: ['a', 'b'], out_of_vocabulary: 'bucket', missing: 'error' },
  { name: 'price', side, kind: 'numeric', scaling: { method: 'log1p', scale: 1 }, missing: { default: 3 } },
  { name: 'shop', side, kind: 'vocabulary', values: ['s', 't'], out_of_vocabulary: 'error', missing: { default: 's' } },
  {
    ...{ name: 'quality', side, kind: 'numeric', missing: 'error' },
    scaling: { method: 'standard', mean: 0, deviation: 2, range: [-1, 1] },
  },
  { name: 'page', side, kind: 'hash', buckets: 50, seed: 0, missing: { default: '' } },
] as Features
const kinds = { brand: 'string', price: 'number', shop: 'string', quality: 'number', page: 'string' } as const
const names = Object.keys(kinds) as (keyof typeof kinds)[]
/** Among them unknown values, values that are refused, and none. */
const values = {
  brand: ['a', 'b', 'a', 'b', 'c', null],
  price: [0, 1.5, 0.1, 7, 8, null],
  shop: ['s', 't', 's', 't', 't', null, 'nowhere'],
  quality: [0, 0.5, -0.5, 1, -1, 5, -5, null],
  page: ['x', 'y', 'z', null],
}
const random = createRandom(seed)
const pick = <T>(all: readonly T[]): T => all[random.integer(all.length)]!

function tableOf(rows: number): FeatureTable {
  const keys = new StringPool()
  for (let row = 0; row < rows; row++) keys.add(`k${row}`)
  const columns = names.map((name, i) => {
    const column = new CellColumn(name, i, kinds[name])
    // Most rows have nothing wrong.
    for (let row = 0; row < rows; row++)
      column.push(row % 3 === 0 ? pick<string | number | null>(values[name]) : values[name][row % 2]!)
    return column
  })
  const { described, files } = inMemory({ keys, columns, rowOf: undefined }, 'id')
  return new FeatureTable(described, files)
}

/** An encoder, and what it counts. */
function encoderOver(tables: { current(): FeatureTable }) {
  const unknown: string[] = []
  const entities = { ad: { key: 'ad_id', side, table: 'ads', features: names, unknown: 'defaults' } } as const
  const encoder = createEncoder(features, { entities, tables, onUnknown: (field) => unknown.push(field) })
  const encode = (context: object, candidates: unknown[]): unknown => {
    unknown.length = 0
    let answer: EncodedRequest | { problems: unknown }
    try {
      answer = encoder.rows(context, candidates, { maxRows: 100, partial: true })
    } catch (error) {
      answer = { problems: (error as { details?: unknown }).details ?? String(error) }
    }
    const { placeOf: _, ...rest } = answer as EncodedRequest
    return { ...rest, counted: [...unknown].sort() }
  }
  return encode
}

t.test('requests by id, again and again, with fields of their own, while tables change', async (t) => {
  let table = tableOf(40)
  const seasoned = encoderOver({ current: () => table })
  for (let i = 0; i < randomCases(1500); i++) {
    if (i % 100 === 99) table = tableOf(20 + random.integer(40))
    const context = pick([{}, {}, { hour: 3 }, { hour: 30 }, { price: 2 }, { brand: 'b', quality: 0.25 }])
    const candidates = Array.from({ length: 1 + random.integer(12) }, (): unknown => {
      const key = `k${random.integer(table.rows + 2)}`
      return random.integer(4) === 0 ? { ad_id: key, ...pick([{}, { price: 1 }, { page: 'w' }]) } : key
    })
    const found = seasoned(context, candidates)
    const expected = encoderOver({ current: () => table })(context, candidates)
    if (!t.same(found, expected)) break
  }
})

t.test('a row takes the place of another, and rows that count something are not kept', async (t) => {
  const slots = createEncoder(features).layout.slots.filter(({ name }) => name !== 'hour')
  const table = tableOf(1)
  const fields = slots.flatMap((slot: FieldColumn) => bindField(slot, table, undefined))
  const kept = new EncodedRows(fields, 4)
  const widths = { sparse: 4, dense: 2 }
  // Columns of `sparse`: hour, brand, shop, page.
  const arrays = (brand: number, quality = 0) => ({
    sparse: Int32Array.of(9, brand, 30, 40),
    dense: Float32Array.of(0.5, quality),
  })
  const taken = (row: number) => {
    const target = { sparse: new Int32Array(4), dense: new Float32Array(2) }
    return kept.take(Int32Array.of(row), target, widths) ? undefined : [...target.sparse, ...target.dense]
  }
  const [bucket, first] = [25, 26]
  kept.keep(Int32Array.of(1), arrays(first), widths, undefined)
  t.same(taken(1), [0, first, 30, 40, 0.5, 0], 'fields of others stay as they are')
  t.equal(taken(5), undefined, 'another row of the same place is not this one')
  kept.keep(Int32Array.of(5), arrays(first + 1), widths, undefined)
  t.same(taken(5), [0, first + 1, 30, 40, 0.5, 0])
  t.equal(taken(1), undefined)
  kept.keep(Int32Array.of(5), arrays(bucket), widths, undefined)
  t.equal(taken(5), undefined, 'an unknown value is counted each time')
  kept.keep(Int32Array.of(2), arrays(first, 100), widths, undefined)
  t.equal(taken(2), undefined, 'as is a number beyond the range of training')
  kept.keep(Int32Array.of(3), arrays(first), widths, new Set([0]))
  t.equal(taken(3), undefined, 'as is what is refused')
  kept.keep(Int32Array.of(-1), arrays(first), widths, undefined)
  t.equal(kept.take(Int32Array.of(-1), arrays(0), widths), undefined, 'a key that the table does not have has none')
})

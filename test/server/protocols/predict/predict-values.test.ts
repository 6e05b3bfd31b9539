import t from 'tap'
import type { PredictionTable } from '../../../../src/model/contracts/prediction.ts'
import { toColumns, toRows } from '../../../../src/server/protocols/predict/predict-values.ts'
import { fc, randomCases } from '../../../support/cases.ts'
import * as written from '../../../support/predictions.ts'

/** Probabilities that the wire's eight digits hold exactly. */
const probability = fc.integer({ min: 0, max: 1_000_000 }).map((value) => value / 1_000_000)

/** Any table: rows left out, an order, ids, raw probabilities and gates, each or none. */
const table: fc.Arbitrary<PredictionTable> = fc
  .record({
    requested: fc.integer({ min: 1, max: 6 }),
    left: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
    ranked: fc.boolean(),
    ids: fc.option(fc.array(fc.option(fc.string(), { nil: undefined }), { minLength: 6, maxLength: 6 })),
    raw: fc.boolean(),
    gates: fc.boolean(),
    values: fc.array(probability, { minLength: 36, maxLength: 36 }),
  })
  .map(({ requested, left, ranked, ids, raw, gates, values }) => {
    const places = Array.from({ length: requested }, (_, i) => i).filter((i) => left[i])
    if (ranked) places.reverse()
    const entries = places.length
    const column = (from: number) => Float64Array.from({ length: entries }, (_, i) => values[from + i]!)
    return {
      requested,
      index: entries === requested && !ranked ? undefined : Int32Array.from(places),
      scores: ranked ? column(0) : undefined,
      tasks: [
        ['ctr', column(6)],
        ['cvr', column(12)],
      ],
      raw: raw ? [['ctr', column(18)]] : undefined,
      // Powers of two: float32 holds them.
      gates: gates ? [['ctr', Float32Array.from({ length: 2 * entries }, (_, i) => 2 ** -i)]] : undefined,
      ids: ids?.slice(0, requested),
      problems: [],
    } as PredictionTable
  })

t.test('predictions as values are those that are written', async (t) => {
  fc.assert(
    fc.property(table, (table) => {
      t.same(toRows(table), written.toRows(table))
      t.same(toColumns(table), written.toColumns(table))
      return JSON.stringify(toRows(table)) === JSON.stringify(written.toRows(table))
    }),
    { numRuns: randomCases(200) },
  )
})

import t from 'tap'
import { eachRow, emptied, type Overlay, slotOf } from '../../../../src/model/contracts/live-tables.ts'
import { emptyOverlay, extended, sizeOf } from '../../../../src/model/serving/deltas/overlay.ts'
import { fc } from '../../../support/cases.ts'

/** The rows of `a` and `b` overlap: they share a table. */
const most = 2 ** 31 - 30
const fields = [
  { name: 'a', ids: most, width: 2, table: 0, first: 0 },
  { name: 'b', ids: most, width: 2, table: 0, first: 20 },
  { name: 'c', ids: most, width: 3, table: 1, first: 7 },
]
const tables = [{ width: 2 }, { width: 3 }]

const id = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: most - 1 }),
  fc.nat(63).map((i) => i * 2 ** 20),
)
const change = fc.record({
  field: fc.constantFrom('a', 'b', 'c'),
  ids: fc.uniqueArray(id, { maxLength: 60 }),
  value: fc.integer(),
})
const steps = fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 6 })

t.test('an overlay holds the last row of every changed id, and those before it stay unchanged', async () => {
  fc.assert(
    fc.property(steps, (steps) => {
      const expected = new Map<string, number>()
      let overlay: Overlay = emptyOverlay(tables)
      for (const changes of steps) {
        const before = overlay
        const copy = structuredClone(before.tables.map(({ rows }) => Float32Array.from(rows)))
        const deltas = changes.map(({ field, ids, value }, i) => {
          const { width, table, first } = fields.find(({ name }) => name === field)!
          ids.forEach((id, at) => {
            expected.set(`${table} ${first + id}`, Math.fround(value + at))
          })
          const rows = Float32Array.from(ids.flatMap((_, at) => new Array<number>(width).fill(value + at)))
          return {
            model: 'm',
            version: '1',
            base: '',
            sequence: i + 1,
            tables: [{ field, width, ids: Uint32Array.from(ids), rows }],
          }
        })
        overlay = { ...overlay, tables: extended(overlay, deltas, fields) }
        before.tables.forEach(({ rows }, i) => {
          if (rows.join() !== copy[i]!.join()) throw new Error('the overlay before has changed')
        })
      }
      for (const [table, { width, rows: values, changed }] of overlay.tables.entries()) {
        const rows: number[] = []
        eachRow(changed, (row) => rows.push(row))
        const named = [...expected.keys()]
          .filter((key) => key.startsWith(`${table} `))
          .map((key) => Number(key.slice(2)))
        if (changed.count !== named.length || rows.sort().join() !== named.sort().join()) throw new Error('other rows')
        for (const row of named) {
          const slot = slotOf(changed, row)
          const own = values.subarray(slot * width, (slot + 1) * width)
          if (slot === 0 || own.some((value) => value !== expected.get(`${table} ${row}`)))
            throw new Error(`${table} ${row}`)
        }
        for (const absent of [-1, -(2 ** 31), 7e9, Number.NaN, 12345.5])
          if (slotOf(changed, absent) !== 0) throw new Error(`${absent}`)
      }
      if (sizeOf(overlay).rows !== expected.size) throw new Error(`${sizeOf(overlay).rows} rows`)
    }),
  )
})

t.test('an emptied overlay has no row', async (t) => {
  const delta = {
    model: 'm',
    version: '1',
    base: '',
    sequence: 1,
    tables: [{ field: 'c', width: 3, ids: Uint32Array.of(4), rows: new Float32Array(3) }],
  }
  const overlay = { ...emptyOverlay(tables, 3), tables: extended(emptyOverlay(tables), [delta], fields) }
  t.equal(sizeOf(overlay).rows, 1)
  const empty = emptied(overlay)
  t.equal(sizeOf(empty).rows, 0)
  t.equal(slotOf(empty.tables[1]!.changed, 7 + 4), 0)
})

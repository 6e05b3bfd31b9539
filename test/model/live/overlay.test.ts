import fc from 'fast-check'
import t from 'tap'
import { emptied, type Overlay, rowOf } from '../../../src/model/contracts/live-tables.ts'
import { emptyOverlay, extended, idsOf, sizeOf } from '../../../src/model/live/overlay.ts'

const columns = [0, 2].map((column) => ({ column, offset: 0, ids: 2 ** 31 - 1 }))
const fields = [
  { name: 'a', column: 0, ids: 2 ** 31 - 1, width: 2, table: 0 },
  { name: 'b', column: 2, ids: 2 ** 31 - 1, width: 2, table: 0 },
  { name: 'c', column: 5, ids: 2 ** 31 - 1, width: 3, table: 1 },
]
const tables = [
  { width: 2, columns },
  { width: 3, columns: [{ column: 5, offset: 0, ids: 2 ** 31 - 1 }] },
]

const id = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: 2 ** 31 - 2 }),
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
          const { width } = fields.find(({ name }) => name === field)!
          ids.forEach((id, at) => {
            expected.set(`${field} ${id}`, Math.fround(value + at))
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
      for (const { name, column, table, width } of fields) {
        const own = overlay.tables[table]!.columns.find((one) => one.column === column)!
        const ids = [...expected.keys()].filter((key) => key.startsWith(`${name} `)).map((key) => Number(key.slice(2)))
        if (own.count !== ids.length || [...idsOf(own)].sort().join() !== ids.sort().join())
          throw new Error('other ids')
        for (const id of ids) {
          const row = rowOf(own, id)
          const values = overlay.tables[table]!.rows.subarray(row * width, (row + 1) * width)
          if (row === 0 || values.some((value) => value !== expected.get(`${name} ${id}`)))
            throw new Error(`${name} ${id}`)
        }
        for (const absent of [-1, -(2 ** 31), 7e9, Number.NaN, 12345.5])
          if (rowOf(own, absent) !== 0) throw new Error(`${absent}`)
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
  t.equal(rowOf(empty.tables[1]!.columns[0]!, 4), 0)
})

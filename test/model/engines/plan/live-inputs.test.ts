import t from 'tap'
import { type LiveTable, type Overlay, rowsOfPage } from '../../../../src/model/contracts/live-tables.ts'
import { LiveInputs } from '../../../../src/model/engines/plan/open-graphs.ts'
import { emptyOverlay, extended } from '../../../../src/model/serving/deltas/overlay.ts'
import { fc } from '../../../support/cases.ts'

const table: LiveTable = { overlay: 'o', pages: 'p', slots: 's', rows: 100, width: 2, columns: [] }
const fields = [{ name: 'a', ids: table.rows, width: table.width, table: 0, first: 0 }]

/** The row that graphs read. */
function readRow({ feeds }: LiveInputs, row: number): number | undefined {
  const [pages, slots, rows] = [feeds.p!.data, feeds.s!.data, feeds.o!.data].map((data) => data as Int32Array)
  const place = row + pages![Math.floor(row / rowsOfPage)]!
  if (place < 0 || place >= slots!.length) throw new Error(`the place of ${row} is ${place}`)
  const slot = slots![place]!
  return slot === 0 ? undefined : rows![slot * table.width + 1]
}

/** `isNew`: whether the overlay takes the place of the one before, instead of continuing it. */
const steps = fc.array(
  fc.record({ ids: fc.uniqueArray(fc.nat(table.rows - 1), { maxLength: 40 }), isNew: fc.boolean() }),
  { minLength: 1, maxLength: 5 },
)

t.test('the index leads to the changed rows, and to no others, whatever overlay comes after another', async () => {
  fc.assert(
    fc.property(steps, (steps) => {
      const inputs = new LiveInputs({ tables: [table] })
      let expected = new Map<number, number>()
      let overlay: Overlay = emptyOverlay([table])
      for (const [i, { ids, isNew }] of steps.entries()) {
        if (isNew) {
          overlay = emptyOverlay([table])
          expected = new Map()
        }
        const rows = new Float32Array(ids.length * table.width).fill(i)
        const tables = [{ field: 'a', width: table.width, ids: Uint32Array.from(ids), rows }]
        overlay = {
          ...overlay,
          number: i + 1,
          tables: extended(overlay, [{ model: 'm', version: '1', base: '', sequence: 1, tables }], fields),
        }
        for (const id of ids) expected.set(id, i)
        inputs.set(overlay)
        for (let row = 0; row < table.rows; row++)
          if (readRow(inputs, row) !== expected.get(row)) throw new Error(`step ${i}, row ${row}`)
      }
    }),
  )
})

import type { LiveColumns, LiveTables, Overlay } from '../../src/model/contracts/live-tables.ts'
import type { Graph } from '../../src/model/graph/graph.ts'
import type { Delta } from '../../src/model/live/delta-file.ts'
import type { LiveField } from '../../src/model/live/expectation.ts'
import { emptyOverlay, extended, indexOf } from '../../src/model/live/overlay.ts'
import type { Dice } from './compile/dice.ts'
import { fieldIds, type RandomModel } from './compile/random-model.ts'

/** The live columns of a random model: those of `fields`. */
export function liveColumnsOf(model: RandomModel, fields: readonly number[]): LiveColumns {
  const blocks = fieldIds(model)
  return { input: 'sparse', columns: fields.map((column) => ({ column, ...blocks[column]! })) }
}

/** The live fields of a plan, called after their columns. */
export function liveFieldsOf({ tables }: LiveTables): LiveField[] {
  return tables.flatMap(({ columns, width }, table) =>
    columns.map(({ column, ids }) => ({ name: `field${column}`, column, ids, width, table })),
  )
}

/** New rows for some ids of live fields, by chance. */
export function randomDelta(fields: readonly LiveField[], dice: Dice): Delta {
  const some = dice.shuffled(fields).slice(0, dice.between(1, fields.length))
  return {
    model: 'm',
    version: '1',
    base: '0'.repeat(64),
    sequence: 1,
    tables: some.map(({ name, ids, width }) => {
      const taken = dice.shuffled(Array.from({ length: ids }, (_, id) => id)).slice(0, dice.between(1, ids))
      return { field: name, width, ids: Uint32Array.from(taken), rows: dice.floats(taken.length * width, 2) }
    }),
  }
}

/** The overlay after `from` that has the rows of some deltas too. */
export function nextOverlay(from: Overlay, deltas: readonly Delta[], fields: readonly LiveField[]): Overlay {
  const columns = fields.map(({ name, column }) => {
    const ids = deltas.flatMap(({ tables }) => tables.flatMap(({ field, ids }) => (field === name ? [...ids] : [])))
    return indexOf(column, ids, ids.length)
  })
  return { number: from.number + 1, tables: extended(from, deltas, fields), changed: { since: from.number, columns } }
}

export const firstOverlay = ({ tables }: LiveTables) => emptyOverlay(tables)

/** Writes the rows of a delta into the table of a random model's graph. */
export function writeRows(graph: Graph, model: RandomModel, { tables }: Delta, fields: readonly LiveField[]): void {
  const { buffer, byteOffset, length } = graph.constants.get('table')!.rawData
  const values = new Float32Array(buffer, byteOffset, length / 4)
  for (const { field, ids, rows, width } of tables) {
    const { offset } = fieldIds(model)[fields.find(({ name }) => name === field)!.column]!
    for (const [i, id] of ids.entries()) values.set(rows.subarray(i * width, (i + 1) * width), (offset + id) * width)
  }
}

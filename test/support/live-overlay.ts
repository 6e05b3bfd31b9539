import type { LiveColumns, LiveTables, Overlay } from '../../src/model/contracts/live-tables.ts'
import { constantOf, floatsOf } from '../../src/model/graph/ir/constants.ts'
import type { Graph } from '../../src/model/graph/ir/graph.ts'
import type { Delta } from '../../src/model/serving/deltas/delta-file.ts'
import type { LiveField } from '../../src/model/serving/deltas/expectation.ts'
import { addRow, changesIn, emptyIndex, emptyOverlay, extended } from '../../src/model/serving/deltas/overlay.ts'
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
    columns.map(({ column, ids, first }) => ({ name: `field${column}`, ids, width, table, first })),
  )
}

/** New rows for some ids of live fields, by chance. */
export function randomDelta(fields: readonly LiveField[], dice: Dice): Delta {
  const some = dice.shuffled(fields).slice(0, dice.between(1, fields.length))
  // Fields that share a table must not name the same row.
  const taken = new Set<string>()
  const free = (table: number, row: number) => !taken.has(`${table} ${row}`) && taken.add(`${table} ${row}`)
  return {
    model: 'm',
    version: '1',
    base: '0'.repeat(64),
    sequence: 1,
    tables: some.map(({ name, ids, width, table, first }) => {
      const all = dice.shuffled(Array.from({ length: ids }, (_, id) => id)).slice(0, dice.between(1, ids))
      const named = all.filter((id) => free(table, first + id))
      return { field: name, width, ids: Uint32Array.from(named), rows: dice.floats(named.length * width, 2) }
    }),
  }
}

/** The overlay after `from` that has the rows of some deltas too. */
export function nextOverlay(from: Overlay, deltas: readonly Delta[], fields: readonly LiveField[]): Overlay {
  const changed = from.tables.map((_, table) => {
    const changes = changesIn(table, deltas, fields)
    const index = emptyIndex(changes.reduce((sum, { ids }) => sum + ids.length, 0))
    for (const { first, ids } of changes) for (const id of ids) addRow(index, first + id)
    return index
  })
  return {
    number: from.number + 1,
    tables: extended(from, deltas, fields),
    changed: { since: from.number, tables: changed },
  }
}

export const firstOverlay = ({ tables }: LiveTables) => emptyOverlay(tables)

/** Writes the rows of a delta into tables of a graph: `names` of the plan's live tables, in order. */
export function writeRows(
  graph: Graph,
  { tables }: Delta,
  fields: readonly LiveField[],
  names: readonly string[] = ['table'],
): void {
  for (const { field, ids, rows, width } of tables) {
    const { first, table } = fields.find(({ name }) => name === field)!
    const constant = graph.constants.get(names[table]!)!
    const values = floatsOf(constant)!.slice()
    for (const [i, id] of ids.entries()) values.set(rows.subarray(i * width, (i + 1) * width), (first + id) * width)
    graph.constants.set(constant.name, constantOf(constant.name, values, constant.dims.map(Number)))
  }
}

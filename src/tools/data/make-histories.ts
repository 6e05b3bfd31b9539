import { Blocks } from '../../base/column-blocks.ts'
import { formatBytes } from '../../base/terminal.ts'
import { type NumberColumn, StringColumn, usableMemory } from './columns.ts'
import { ListColumn } from './list-column.ts'
import { SpecError } from './source.ts'

/** Per row, what histories are made of. */
export interface HistoryRows {
  /** Whose row it is. */
  by: StringColumn
  order: Float64Array
  /** 1 where a row is in histories of later ones. */
  where: Int8Array
}

/** The values of rows that are in histories, one row after the other. */
interface EarlierValues {
  list: ListColumn
  /** Appends those of a row. */
  add(row: number): void
  /** Appends a list to `list`: the values of `length` rows that were added, from `start` on. */
  point(start: number, length: number): void
}

/**
 * Per column, the list of each row: the values of the latest `last` rows of the same `by` and an earlier `order`, the
 * latest last. Rows of one time don't see each other. A row that lacks one of the values is in no history, and one
 * without `by` has none. Of a column of lists, a history has the values of all of them; a missing list has none.
 */
export function makeHistories(
  columns: readonly (StringColumn | NumberColumn | ListColumn)[],
  rows: HistoryRows,
  last: number,
): ListColumn[] {
  const { by, order, where } = rows
  const earlier = columns.map((column) => (column instanceof ListColumn ? valuesOfLists(column) : singleValues(column)))
  const starts = new Uint32Array(by.length)
  const lengths = new Uint32Array(by.length)
  const single = columns.filter((column) => !(column instanceof ListColumn))
  const isComplete = (row: number) => single.every((column) => column.at(row) !== null)
  let seen = 0
  for (const group of groupsOf(by)) {
    // Where times are equal, rows keep their order.
    group.sort((a, b) => order[a]! - order[b]! || a - b)
    const first = seen
    for (let i = 0; i < group.length; ) {
      let end = i
      while (end < group.length && order[group[end]!] === order[group[i]!]) end++
      const length = Math.min(last, seen - first)
      for (let j = i; j < end; j++) {
        starts[group[j]!] = seen - length
        lengths[group[j]!] = length
      }
      for (; i < end; i++) {
        const row = group[i]!
        if (where[row] !== 1 || !isComplete(row)) continue
        for (const values of earlier) values.add(row)
        seen++
      }
    }
  }
  for (let row = 0; row < by.length; row++) for (const values of earlier) values.point(starts[row]!, lengths[row]!)
  return earlier.map(({ list }) => list)
}

function singleValues(column: StringColumn | NumberColumn): EarlierValues {
  const list = new ListColumn(column instanceof StringColumn ? 'string' : 'number', false)
  return {
    list,
    add: (row) => list.values.push(column.at(row) as never),
    point: (start, length) => list.point(start, length),
  }
}

function valuesOfLists(column: ListColumn): EarlierValues {
  const list = new ListColumn(column.values instanceof StringColumn ? 'string' : 'number', column.weights !== undefined)
  // Where the values of the rows begin, and where those of the last one end.
  const bounds = new Blocks([Uint32Array, Float64Array])
  bounds.push(0)
  return {
    list,
    add(row) {
      const start = column.startOf(row)
      for (let i = start; i < start + column.lengthOf(row); i++) {
        list.values.push(column.values.at(i) as never)
        list.weights?.push(column.weights!.at(i))
      }
      bounds.push(list.values.length)
    },
    point(start, length) {
      const first = bounds.at(start)
      list.point(first, bounds.at(start + length) - first)
    },
  }
}

/** The rows of each value, in their order; of a missing one none. */
function groupsOf(by: StringColumn): Uint32Array[] {
  const counts = new Uint32Array(by.values.length)
  for (let row = 0; row < by.length; row++) {
    const code = by.codeAt(row)
    if (code >= 0) counts[code]!++
  }
  const groups = Array.from(counts, (count) => new Uint32Array(count))
  counts.fill(0)
  for (let row = 0; row < by.length; row++) {
    const code = by.codeAt(row)
    if (code >= 0) groups[code]![counts[code]!++] = row
  }
  return groups
}

/**
 * Throws a SpecError where the histories of all rows, encoded, would not fit into memory. `most`: per list, the most
 * values that a row keeps.
 */
export function expectHistoryMemory(
  file: string,
  lists: readonly ListColumn[],
  bytesPerValue: number,
  most: readonly number[],
  available = usableMemory(),
): void {
  let values = 0
  for (const [index, list] of lists.entries())
    for (let row = 0; row < list.length; row++) values += Math.min(most[index]!, list.lengthOf(row))
  if (values * bytesPerValue <= available) return
  const message = `the histories of all rows have ${values.toLocaleString('en')} values, which would take ${formatBytes(values * bytesPerValue)} of memory, and ${formatBytes(available)} are available: lower last, give fewer rows, or more memory`
  throw new SpecError(file, [{ path: '/history/last', message }])
}

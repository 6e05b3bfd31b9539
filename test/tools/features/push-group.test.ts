import t from 'tap'
import { CellColumn } from '../../../src/model/serving/tables/built-columns.ts'
import type { GroupColumn } from '../../../src/tools/data/source.ts'
import { pusherOf } from '../../../src/tools/features/push-group.ts'

/** Texts of rows as a CSV file has them. */
function columnOf(values: readonly (string | null)[]): GroupColumn {
  const bytes = Buffer.from(values.map((value) => value ?? '').join(''))
  const ends: number[] = []
  for (const value of values) ends.push((ends.at(-1) ?? 0) + Buffer.byteLength(value ?? ''))
  const starts = [0, ...ends.slice(0, -1)]
  const numberOf = (row: number) => (values[row] === null ? -1 : row)
  return {
    at: (row) => values[row]!,
    texts: { bytes, starts: Int32Array.from(starts), ends: Int32Array.from(ends), numberOf },
  }
}

t.test('rows added by groups, with many strings or few, have the codes of rows added one by one', (t) => {
  const textAt = (row: number) => (row % 11 === 0 ? null : `é${(row * 7919) % 9001}`)
  const [byGroups, oneByOne] = [new CellColumn('c', 0, 'string'), new CellColumn('c', 0, 'string')]
  for (let first = 0; first < 20_000; first += 1000) {
    const values = Array.from({ length: 1000 }, (_, i) => textAt(first + i))
    const push = pusherOf(byGroups, columnOf(values), values.length)
    for (const [row, value] of values.entries()) {
      push(row)
      oneByOne.push(value)
    }
  }
  const codesOf = ({ stored }: CellColumn) => Array.from({ length: 20_000 }, (_, row) => stored.at(row))
  t.same(codesOf(byGroups), codesOf(oneByOne))
  t.ok(byGroups.pool!.count > 5000)
  t.end()
})

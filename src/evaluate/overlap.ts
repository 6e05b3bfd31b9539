import { type CellColumn, StringColumn } from '../data/columns.ts'
import type { Dataset } from '../data/dataset.ts'
import { firstIndex } from '../data/split.ts'

/** Number of the rows that also occur among the training rows, with the same fields and labels. */
export function repeatedRows(dataset: Dataset, rows: Int32Array): number {
  const { parts, repeatedTests } = dataset
  const { train } = parts
  if (rows === parts.test && repeatedTests !== undefined) return repeatedTests
  if (train.length === 0 || rows === train) return 0
  const hash = rowHash(dataset)
  // A set of them would take several times the memory.
  const trained = new Float64Array(train.length)
  for (let i = 0; i < train.length; i++) trained[i] = hash(train[i]!)
  trained.sort()
  let repeated = 0
  for (const row of rows) {
    const sought = hash(row)
    if (trained[firstIndex(trained, sought)] === sought) repeated++
  }
  return repeated
}

/** Hashes a row's fields and labels to 52 bits: of a million rows hardly two different ones meet. */
function rowHash({ cells, labels }: Dataset): (row: number) => number {
  const bits = new Float64Array(1)
  const words = new Uint32Array(bits.buffer)
  const codes = cells.map((column: CellColumn) => (row: number) => {
    if (column instanceof StringColumn) return column.codeAt(row)
    bits[0] = (column.at(row) as number | null) ?? Number.NaN
    return words[0]! ^ Math.imul(words[1]!, 0x9e3779b1)
  })
  return (row) => {
    let [a, b] = [0x811c9dc5, 0x2545f491]
    const add = (value: number) => {
      a = Math.imul(a ^ value, 0x01000193)
      a ^= a >>> 15
      b = Math.imul(b ^ (value + 0x7feb352d), 0x846ca68b)
      b ^= b >>> 13
    }
    for (const code of codes) add(code(row))
    for (const column of labels) add(column[row]!)
    return (a >>> 0) + (b & 0xfffff) * 2 ** 32
  }
}

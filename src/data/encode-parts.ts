import type { Field } from '../schemas/features.ts'
import { blockRows, KeptRows } from './column-blocks.ts'
import type { Dataset } from './dataset.ts'
import { allocateRows, createRowsEncoder, type EncodedRows } from './encode-rows.ts'
import type { RowProblems } from './row-problems.ts'
import type { Parts } from './split.ts'

/**
 * Encodes the parts of a data set, and lets go of the cells of all rows but `kept`, block by block, so that cells and encoded rows
 * are not in memory together. Cells that do not fit are added to `options.problems`.
 */
export function encodeParts(
  fields: readonly Field[],
  { cells, parts, place, rows }: Pick<Dataset, 'cells' | 'parts' | 'place' | 'rows'>,
  kept: readonly Int32Array[],
  options: { problems: RowProblems; ownIds: boolean },
): Record<keyof Parts, EncodedRows> {
  const marks = new Uint8Array(rows)
  for (const part of kept) for (const row of part) marks[row] = 1
  const keptRows = new KeptRows(marks)
  const encode = createRowsEncoder(fields, cells, place, options)
  const targets = [parts.train, parts.validation, parts.test].map((part) => ({
    part,
    next: 0,
    encoded: allocateRows(fields, part.length),
  }))
  for (let block = 0; block * blockRows < rows; block++) {
    for (const target of targets) {
      const from = target.next
      const { part, encoded } = target
      while (target.next < part.length && part[target.next]! < (block + 1) * blockRows) target.next++
      encode(part, from, target.next, encoded)
    }
    for (const column of cells) column.keep(keptRows, block)
  }
  const [train, validation, test] = targets.map(({ encoded }) => encoded)
  return { train: train!, validation: validation!, test: test! }
}

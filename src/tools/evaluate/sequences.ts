import { withoutUndefined } from '../../base/arrays.ts'
import type { SequenceUse } from '../../schemas/sequence-use.ts'
import type { CellColumn } from '../data/columns.ts'
import { ListColumn } from '../data/list-column.ts'
import type { AttentionBySequence } from './attention.ts'
import type { PredictorField } from './predictor.ts'

/** How long a version's sequences, and its lists that are in none, are in these rows, and what it looks at in them. */
export function describeSequences(
  fields: readonly PredictorField[],
  cells: readonly CellColumn[],
  rows: Int32Array,
  attention: AttentionBySequence = new Map(),
): SequenceUse[] {
  const found = new Map<string, SequenceUse>()
  fields.forEach(({ name, list, sequence = name }, index) => {
    const column = cells[index]
    if (list === undefined || !(column instanceof ListColumn)) return
    const known = found.get(sequence)
    if (known !== undefined) known.fields.push(name)
    else
      found.set(
        sequence,
        withoutUndefined({
          ...{ name: sequence, fields: [name], max: list.max, lengths: lengthsOf(column, rows, list.max) },
          attention: attention.get(sequence),
        }) as SequenceUse,
      )
  })
  return [...found.values()]
}

function lengthsOf(column: ListColumn, rows: Int32Array, max: number): SequenceUse['lengths'] {
  const lengths = Float64Array.from(rows, (row) => Math.max(0, column.lengthOf(row))).sort()
  const at = (share: number) => lengths[Math.max(0, Math.ceil(share * lengths.length) - 1)]!
  const share = (isOne: (length: number) => boolean) => lengths.filter(isOne).length / lengths.length
  return {
    mean: lengths.reduce((sum, length) => sum + length, 0) / lengths.length,
    ...{ p10: at(0.1), median: at(0.5), p90: at(0.9), most: at(1) },
    empty: share((length) => length === 0),
    cut: share((length) => length > max),
  }
}

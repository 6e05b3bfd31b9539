import type { Violation } from '../../base/errors.ts'
import { notAField } from '../../base/names.ts'
import { type History, historyField } from '../../schemas/history.ts'
import type { TrainField } from '../../schemas/train-fields.ts'

/**
 * Fields with the lists of a history, which come last, and problems of what the history names. A field of one of their
 * names is replaced.
 */
export function withHistory(
  fields: readonly TrainField[],
  history: History | undefined,
): { fields: TrainField[]; problems: Violation[] } {
  if (history === undefined) return { fields: [...fields], problems: [] }
  const problems: Violation[] = []
  const lists = history.of.flatMap((name, i) => {
    const list = listOf(name, fields, history)
    if (typeof list !== 'string') return [list]
    problems.push({ path: `/history/of/${i}`, message: list })
    return []
  })
  const names = new Set(lists.map(({ name }) => name))
  return { fields: [...fields.filter(({ name }) => !names.has(name)), ...lists], problems }
}

/** The list of a field's earlier values; as a string, why there can be none. */
function listOf(of: string, fields: readonly TrainField[], history: History): TrainField | string {
  const field = fields.find(({ name }) => name === of)
  const name = JSON.stringify(of)
  if (field === undefined)
    return notAField(
      of,
      fields.map((one) => one.name),
    )
  if (field.kind === 'vector' || field.list !== undefined)
    return `${name} is ${field.kind === 'vector' ? 'a vector' : 'a list'}: a history is of fields of one value`
  const common = {
    name: historyField(history, of),
    side: 'context' as const,
    missing: { default: [] },
    list: { max: history.last, keep: 'last' as const },
    sequence: history.name,
  }
  if (field.kind === 'numeric') {
    const { kind, scaling, clip } = field
    return { ...common, kind, scaling, ...(clip !== undefined && { clip }) }
  }
  const table = field.kind === 'shared' ? field.table : of
  const owner = fields.find((one) => one.name === table)
  if (owner?.kind === 'hash')
    return `${name} hashes its values, and its table has no row for padding: make it a vocabulary, or integers`
  return { ...common, kind: 'shared', table, out_of_vocabulary: 'drop' }
}

import type { Violation } from '../../base/errors.ts'
import { inputFields } from '../../model/serving/features/table.ts'
import type { Field } from '../../schemas/features.ts'
import { historyField } from '../../schemas/history.ts'
import type { RowsSpec } from '../../schemas/rows-spec.ts'
import { outcomeReading } from '../data/history-fields.ts'
import type { FieldReading } from '../data/readers.ts'
import type { PredictorField } from './predictor.ts'

/** The fields of a version that is not open. */
export function predictorFields(features: readonly Field[]): PredictorField[] {
  return inputFields(features).map((field) => {
    const { name, side, kind } = field
    const { list, sequence } = field.kind === 'vector' ? {} : field
    return { name, side, kind, ids: undefined, list, sequence }
  })
}

/** Whether a field has several values: it is a list or a vector. */
export const hasSeveral = ({ kind, list }: Pick<PredictorField, 'kind' | 'list'>): boolean =>
  kind === 'vector' || list !== undefined

/** How a version's fields are read: as the spec says, else from the column of the field's name. */
export function readingsOfModel(
  fields: readonly PredictorField[],
  spec: Pick<RowsSpec, 'fields' | 'history'>,
): FieldReading[] {
  const { history } = spec
  return fields.map((field): FieldReading => {
    const { name, kind } = field
    const text = kind === 'vocabulary' || kind === 'hash' ? 'string' : 'number'
    const place = history?.of.findIndex((one) => historyField(history, one) === name) ?? -1
    const of = history?.of[place]
    if (of !== undefined) {
      const { column = of, expression, list, weights } = spec.fields.find((written) => written.name === of) ?? {}
      const read = expression === undefined ? { column } : { expression }
      const source = fields.find((one) => one.name === of)
      const isList = source === undefined ? list !== undefined : hasSeveral(source)
      const weighted = field.list?.weighted === true
      const several = isList ? { list: { separator: list?.separator, weights, weighted } } : {}
      return { name, path: `/history/of/${place}`, kind: text, ...read, ...several, history: true }
    }
    const outcome = outcomeReading(name, history)
    if (outcome !== undefined) return outcome
    const index = spec.fields.findIndex((written) => written.name === name)
    const { column, expression, list, weights } = spec.fields[index] ?? {}
    return {
      name,
      path: index < 0 ? '/fields' : `/fields/${index}`,
      kind: text,
      column,
      expression,
      list: hasSeveral(field)
        ? { separator: list?.separator, weights, weighted: field.list?.weighted === true }
        : undefined,
    }
  })
}

/** Versions that read a field alike share its column. */
export const readingKey = ({ name, kind, list }: FieldReading): string =>
  JSON.stringify([kind, name, list && list.weighted === true])

/** Problems of a spec that says of a field that it is a list, or weighted, where the version's is not. */
export function listProblems(fields: readonly PredictorField[], spec: Pick<RowsSpec, 'fields'>): Violation[] {
  return spec.fields.flatMap(({ name, list, weights }, index) => {
    const field = fields.find((one) => one.name === name)
    if (field === undefined) return []
    if (list !== undefined && !hasSeveral(field))
      return [{ path: `/fields/${index}/list`, message: `must be left out: the model's ${name} is one value` }]
    if (weights !== undefined && field.list?.weighted !== true)
      return [{ path: `/fields/${index}/weights`, message: `must be left out: the model's ${name} has no weights` }]
    return []
  })
}

import type { Violation } from '../../base/errors.ts'
import type { JoinedTable } from '../../schemas/joined-table.ts'
import { openSource } from '../data/open-source.ts'
import { type LoadedRows, SpecError } from '../data/source.ts'
import { readingsOfModel } from './model-fields.ts'
import type { Predictor, ServedFeatures } from './predictor.ts'

/**
 * A service's version as rows of this data ask it: features of entities that the rows do not have are none of its
 * fields, and rows have their keys. Rejects with a SpecError where the rows have neither.
 */
export async function askedByKeys(predictor: Predictor, { file, spec }: LoadedRows): Promise<Predictor> {
  const { entities = [], model, fields, crossed } = predictor
  if (entities.length === 0) return predictor
  const { columns } = await openSource(spec.data, file)
  const has = (name: string) => columns.some((column) => column.name === name)
  const readings = readingsOfModel(fields, spec)
  const problems: Violation[] = []
  const served: ServedFeatures[] = []
  for (const entity of entities) {
    const features = entity.features.filter((feature) => {
      const { expression, column = feature } = readings.find(({ name }) => name === feature) ?? {}
      return expression === undefined && column === feature && !has(feature)
    })
    if (features.length === 0) continue
    const { name, key } = entity
    const isField = fields.some((field) => field.name === key && !features.includes(key))
    const column = columns.find((one) => one.name === key)
    const title = `the entity ${name} of ${model.name}/${model.version}`
    if (!isField && column === undefined)
      problems.push({
        path: '/data',
        message: `${title}: the rows have neither ${features.join(', ')} nor the key ${JSON.stringify(key)}`,
      })
    else if (column?.type === 'list')
      problems.push({
        path: '/data',
        message: `${title}: the column of the key ${JSON.stringify(key)} is one of lists`,
      })
    const kind = column?.type === 'double' ? 'number' : 'string'
    served.push({ entity, features, reading: isField ? undefined : { name: key, path: '/data', kind } })
  }
  if (problems.length > 0) throw new SpecError(file, problems)
  const isSent = (name: string) => !served.some(({ features }) => features.includes(name))
  return {
    ...predictor,
    fields: fields.filter(({ name }) => isSent(name)),
    crossed: crossed.filter(({ of }) => of.every(isSent)),
    served,
  }
}

/** The tables that a service reads for rows, for the report. `withoutKey`: how many rows lack the key. */
export function servedTables(
  served: readonly ServedFeatures[],
  withoutKey: (served: ServedFeatures) => number,
): JoinedTable[] {
  return served.flatMap((one): JoinedTable[] => {
    const { table, key } = one.entity
    if (table === undefined) return []
    const { name, version, rows, created_at, deltas } = table
    return [
      {
        ...{ name, version, rows, created_at, deltas: deltas.applied, key, features: one.features },
        ...(deltas.refused && { refused_delta: deltas.refused }),
        ...{ service: true, without_key: withoutKey(one) },
      },
    ]
  })
}

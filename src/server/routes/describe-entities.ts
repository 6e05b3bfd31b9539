import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { TableStatus } from '../../model/serving/tables/tables.ts'
import type { EntityDetails, TableDetails } from '../../schemas/entity-details.ts'
import type { ServerContext } from '../request/context.ts'

type Sources = Pick<ServerContext, 'metrics' | 'tables'>

/** The entities of a version, their tables and the keys that requests named; nothing where it has none. */
export function describeEntities(
  { manifest }: LoadedModel,
  { metrics, tables }: Sources,
): { entities?: EntityDetails[] } {
  const { name: model, version, entities } = manifest
  if (entities === undefined) return {}
  const read = new Map(tables?.().map((table) => [table.name, table]))
  const keys = metrics.entityKeys(model, version)
  return {
    entities: Object.entries(entities).map(([name, { key, side, features, unknown, max_age_seconds, table }]) => {
      const status = read.get(table)
      return {
        ...{ name, key, side, features, unknown },
        ...(max_age_seconds !== undefined && { max_age_seconds }),
        ...(status && { table: describeTable(status) }),
        keys: keys.get(name) ?? { found: 0, unknown: 0, examples: [] },
      }
    }),
  }
}

export function describeTable(table: TableStatus): TableDetails {
  const { createdAt, changedAt, refused, deltas, name, version, rows, bytes, source } = table
  return {
    ...{ name, version, rows, bytes, source, deltas },
    created_at: new Date(createdAt).toISOString(),
    ...(changedAt !== undefined && { changed_at: new Date(changedAt).toISOString() }),
    ...(refused && { refused: { version: refused.version, problem: refused.problem } }),
  }
}

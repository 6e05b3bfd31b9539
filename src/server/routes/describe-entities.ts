import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { TableStatus } from '../../model/serving/tables/tables.ts'
import type { EntityDetails, ServedTable, TableDetails } from '../../schemas/entity-details.ts'
import type { ServerContext } from '../request/context.ts'
import type { ModelView } from '../security/areas.ts'

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
        // Those of users may name persons.
        ...(status && side === 'candidate' && { first_keys: status.firstKeys }),
        keys: keys.get(name) ?? noKeys,
      }
    }),
  }
}

const noKeys: EntityDetails['keys'] = { found: 0, unknown: 0, examples: [] }

/** The tables that are read, by name, and the entities of these models that read them. */
export function describeTables(models: Pick<ModelView, 'live'>, { metrics, tables }: Sources): ServedTable[] {
  const all = tables?.() ?? []
  if (all.length === 0) return []
  const readers = models.live().flatMap(({ name: model, version, model: { manifest } }) =>
    Object.entries(manifest.entities ?? {}).map(([entity, { key, table }]) => ({
      table,
      reader: { model, version, entity, key, keys: metrics.entityKeys(model, version).get(entity) ?? noKeys },
    })),
  )
  return all
    .map((table) => ({
      ...describeTable(table),
      read_by: readers.flatMap(({ table: name, reader }) => (name === table.name ? [reader] : [])),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

export function describeTable(table: TableStatus): TableDetails {
  const { createdAt, changedAt, refused, deltas, name, version, digest, rows, bytes, source } = table
  return {
    ...{ name, version, digest, rows, bytes, source, deltas },
    created_at: new Date(createdAt).toISOString(),
    ...(changedAt !== undefined && { changed_at: new Date(changedAt).toISOString() }),
    ...(refused && { refused: { version: refused.version, problem: refused.problem } }),
  }
}

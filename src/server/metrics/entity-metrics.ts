import type { Registry } from 'prom-client'
import { valueFor } from '../../base/maps.ts'
import { type EntityCount, EntityCounts } from '../../model/serving/features/entity-counts.ts'
import type { TableStatus } from '../../model/serving/tables/tables.ts'
import { createReadMetrics, type Versions } from './read-metrics.ts'
import { versionKey } from './version-counts.ts'

/** Adds a counter of the keys of each version's entities. */
export function createEntityCounts(registry: Registry) {
  const versions = new Map<string, { model: string; version: string; counts: EntityCounts }>()
  createReadMetrics(registry).counter(
    'multigate_entity_keys_total',
    'Keys of candidates and users that requests named, by whether the table has them',
    () =>
      [...versions.values()].flatMap(({ model, version, counts }) =>
        [...counts.byEntity].flatMap(([entity, { found, unknown }]) =>
          [['found', found] as const, ['unknown', unknown] as const].map(
            ([result, count]) => [{ model, version, entity, result }, count] as const,
          ),
        ),
      ),
  )
  const none: ReadonlyMap<string, EntityCount> = new Map()
  return {
    add(
      model: string,
      version: string,
      entity: string,
      found: number,
      unknown: readonly string[],
      count: number,
    ): void {
      const { counts } = valueFor(versions, versionKey({ model, version }), () => ({
        ...{ model, version },
        counts: new EntityCounts(),
      }))
      counts.add(entity, found, unknown, count)
    },
    of: (model: string, version: string) => versions.get(versionKey({ model, version }))?.counts.byEntity ?? none,
    forget: (model: string, version: string) => versions.delete(versionKey({ model, version })),
  }
}

/** The tables that are read, their deltas and their age. */
export function registerTableMetrics(registry: Registry, tables: () => readonly TableStatus[], models: Versions): void {
  const { gauge } = createReadMetrics(registry)
  // Every process reads the same tables: the one that is furthest behind is what counts.
  const [most, least] = ['max', 'min'] as const
  const each = (value: (table: TableStatus) => number | undefined) => () =>
    tables().flatMap((table) => {
      const number = value(table)
      return number === undefined ? [] : [[{ table: table.name }, number] as const]
    })
  gauge(
    'multigate_table_rows',
    'Rows of the version of a feature table that is read, without its deltas',
    each(({ rows }) => rows),
    most,
  )
  gauge(
    'multigate_table_bytes',
    'Bytes of a feature table and of the rows that its deltas changed',
    each(({ bytes, deltas }) => bytes + deltas.bytes),
    most,
  )
  gauge(
    'multigate_table_changed_rows',
    'Rows of a feature table that its deltas changed',
    each(({ deltas }) => deltas.rows),
    most,
  )
  gauge(
    'multigate_table_deltas_applied',
    'Deltas of a feature table that are in effect',
    each(({ deltas }) => deltas.applied),
    least,
  )
  gauge(
    'multigate_table_refused',
    '1 while a new version, or a delta, of a feature table is refused',
    each(({ refused, deltas }) => Number(refused !== undefined || deltas.refused !== null)),
    most,
  )
  gauge(
    'multigate_table_written_timestamp_seconds',
    'When the version of a feature table that is read was imported, or its last delta in effect written',
    each(({ createdAt, changedAt }) => Math.max(createdAt, changedAt ?? 0) / 1000),
    least,
  )
  gauge(
    'multigate_table_max_age_seconds',
    'The least age at which a served model calls a feature table stale (max_age_seconds of its entity)',
    each(({ name }) => leastAge(models(), name)),
    least,
  )
}

/** The least bound on a table's age that a served model sets, s. */
function leastAge(models: ReturnType<Versions>, table: string): number | undefined {
  const bounds = models.flatMap(({ model }) =>
    Object.values(model.manifest.entities ?? {}).flatMap((entity) =>
      entity.table === table && entity.max_age_seconds !== undefined ? [entity.max_age_seconds] : [],
    ),
  )
  return bounds.length === 0 ? undefined : Math.min(...bounds)
}

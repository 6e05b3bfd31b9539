import { hrefOf } from '../../base/router.ts'
import { Pairs } from '../../parts/controls.tsx'
import { duration, listed } from '../../parts/format.ts'
import { factsOf, isStale, Keys } from '../tables/describe-table.tsx'
import type { Entity } from './words.ts'

/** The users and candidates whose features come from tables. */
export function Entities({ entities }: { entities: readonly Entity[] }) {
  return (
    <>
      <p class="muted">
        Requests name a key, and a table has the features. Values that a request sends itself win. Keys are counted in
        the process that answers this page.
      </p>
      {entities.map((entity) => (
        <div key={entity.name}>
          <h3>
            <bdi>{entity.name}</bdi>
          </h3>
          <EntityPairs entity={entity} />
        </div>
      ))}
    </>
  )
}

/** Most names of fields that are listed. */
const mostFields = 20

const fates: Record<string, string> = {
  defaults: 'the fields have their defaults',
  refuse: 'refused',
  leave_out: 'the candidate is left out',
}

function EntityPairs({ entity }: { entity: Entity }) {
  const { key, side, features, unknown, max_age_seconds: maxAge, table, keys } = entity
  return (
    <Pairs
      rows={[
        ['Key', <code>{key}</code>],
        ['Side', side],
        [features.length === 1 ? '1 field' : `${features.length} fields`, listed(features, mostFields)],
        ['Unknown keys', fates[unknown] ?? unknown],
        ['Keys', <Keys keys={keys} />],
        ['Table', table === undefined ? 'not read' : <TableLink name={table.name} />],
        ...(table === undefined ? [] : factsOf(table)),
        [
          'Oldest allowed',
          maxAge !== undefined && (
            <span class="row">
              {duration(maxAge)}
              {table !== undefined && isStale(table, maxAge) && <span class="pill warning">stale</span>}
            </span>
          ),
        ],
      ].flatMap(([name, value]) => (value === false ? [] : [[name as string, value] as const]))}
    />
  )
}

function TableLink({ name }: { name: string }) {
  return (
    <a href={hrefOf('tables', [name])}>
      <bdi>{name}</bdi>
    </a>
  )
}

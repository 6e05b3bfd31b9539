import { askTables } from '../../api/client.ts'
import { type Asked, useAsk } from '../../api/use-ask.ts'
import { hrefOf, type Route } from '../../base/router.ts'
import { Card, Pairs } from '../../parts/controls.tsx'
import { bytes, number } from '../../parts/format.ts'
import { useSearch } from '../../parts/pager.tsx'
import { Empty, Pending, Stale } from '../../parts/states.tsx'
import { Table } from '../../parts/table.tsx'
import { ageOf, factsOf, Keys, type ServedTable } from './describe-table.tsx'

const tablesPerPage = 20

/** `#/tables`, and `#/tables/<table>`: the feature tables that are read. */
export function TablesPage({ route: { path } }: { route: Route }) {
  const [name] = path
  const asked = useAsk(askTables, [], { everySeconds: 5 })
  const { data, error } = asked
  const table = data?.tables.find((one) => one.name === name)
  return (
    <div class="page models">
      <nav class="small" aria-label="You are here">
        <a href={hrefOf('models')}>Models</a> / {name === undefined ? 'Tables' : <a href={hrefOf('tables')}>Tables</a>}
        {name !== undefined && (
          <>
            {' / '}
            <bdi>{name}</bdi>
          </>
        )}
      </nav>
      <div class="heading">
        <h1 class="name">{name === undefined ? 'Feature tables' : <bdi>{name}</bdi>}</h1>
        {data !== undefined && error !== undefined && <Stale message={error.message} />}
      </div>
      <Content {...{ asked, name, table }} />
    </div>
  )
}

interface ContentProps {
  asked: Asked<{ tables: ServedTable[] }>
  name: string | undefined
  table: ServedTable | undefined
}

function Content({ asked: { data, error, again }, name, table }: ContentProps) {
  if (data === undefined) return <Pending what="tables" error={error} again={again} />
  if (name === undefined) return <TableList tables={data.tables} />
  if (table === undefined)
    return (
      <Empty title="There is no such table">
        <p>None of this name is read, or no model that your key opens reads it.</p>
      </Empty>
    )
  return (
    <>
      <Card id="table-version" title="Version">
        <Pairs rows={factsOf(table)} />
      </Card>
      <Card id="table-readers" title="Models that read it">
        <Readers table={table} />
      </Card>
    </>
  )
}

function TableList({ tables }: { tables: ServedTable[] }) {
  const { shown, pager, field } = useSearch('tables', tables, tablesPerPage, ({ name }) => name)
  if (tables.length === 0)
    return (
      <Empty title="No feature table is read">
        <p>
          <code>multigate features import</code> makes one.
        </p>
      </Empty>
    )
  return (
    <>
      <p class="muted">A table has features of users or candidates by key. Requests name the keys.</p>
      {field('Search tables', 'row small')}
      {shown.length === 0 ? (
        <Empty title="No table has this name" />
      ) : (
        <Table
          label="Feature tables"
          rows={shown}
          columns={[
            { title: 'Table', text: ({ name }) => name, href: ({ name }) => hrefOf('tables', [name]) },
            { title: 'State', cell: State },
            { title: 'Version', cell: ({ version }) => version },
            { title: 'Rows', value: ({ rows }) => rows, format: (rows) => number(rows, 12) },
            { title: 'Size', value: (table) => table.bytes, format: bytes },
            { title: 'Age', cell: (table) => ageOf(table) },
            { title: 'Deltas', value: ({ deltas }) => deltas.applied, format: (applied) => number(applied, 9) },
            { title: 'Read by', cell: ({ read_by: readers }) => modelsOf(readers) },
          ]}
        />
      )}
      {pager}
    </>
  )
}

function modelsOf(readers: ServedTable['read_by']): string {
  const { size } = new Set(readers.map(({ model }) => model))
  return size === 0 ? 'no model' : size === 1 ? '1 model' : `${number(size, 9)} models`
}

function State({ refused, deltas }: ServedTable) {
  if (refused !== undefined) return <span class="pill bad">version {refused.version} refused</span>
  if (deltas.refused !== null) return <span class="pill bad">delta refused</span>
  return <span class="pill good">read</span>
}

/** The entities that read a table, and the keys that their requests named. */
function Readers({ table: { read_by: readers } }: { table: ServedTable }) {
  if (readers.length === 0) return <p class="muted">No loaded version reads it.</p>
  return (
    <>
      <p class="muted">Keys are those that requests named in the process that answers this page.</p>
      <Table
        label="Entities that read the table"
        rows={readers}
        rowKey={({ model, version, entity }) => `${model}/${version}/${entity}`}
        columns={[
          {
            title: 'Model',
            text: ({ model, version }) => `${model} version ${version}`,
            href: ({ model, version }) => hrefOf('models', [model, version], { section: 'entities' }),
          },
          { title: 'Entity', text: ({ entity }) => entity },
          { title: 'Key', text: ({ key }) => key },
          { title: 'Keys', class: 'wide', cell: ({ keys }) => <Keys keys={keys} /> },
        ]}
      />
    </>
  )
}

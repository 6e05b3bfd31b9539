import { suggestNames } from '../../../base/names.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { LiveTables } from '../../contracts/live-tables.ts'
import { baseOf } from '../delta-files/container.ts'
import { layoutOf } from '../features/layout.ts'
import type { Delta } from './delta-file.ts'

/** A live field: what a delta may say of it. */
export interface LiveField {
  name: string
  ids: number
  width: number
  /** Number of its table among the live ones; fields may share one. */
  table: number
  /** The table's row of the field's id 0. */
  first: number
}

/** The version that a delta has to be of. */
export interface Expectation {
  model: string
  version: string
  base: string
  fields: LiveField[]
  /** Fields that are not live. */
  others: string[]
}

export function expectationOf(manifest: Manifest, { tables }: Pick<LiveTables, 'tables'>): Expectation {
  const { slots } = layoutOf(manifest)
  const fields = slots.flatMap(({ name, sparse, column }): LiveField[] => {
    const table = sparse ? tables.findIndex(({ columns }) => columns.some((live) => live.column === column)) : -1
    if (table < 0) return []
    const { width, columns } = tables[table]!
    const { ids, first } = columns.find((live) => live.column === column)!
    return [{ name, ids, width, table, first }]
  })
  const others = slots.map(({ name }) => name).filter((name) => !fields.some((field) => field.name === name))
  return { model: manifest.name, version: manifest.version, base: baseOf(manifest.files), fields, others }
}

/** Throws an Error that names what doesn't fit the version, and the place. */
export function checkDelta(delta: Delta, expected: Expectation): void {
  const { model, version, base } = expected
  if (delta.model !== model || delta.version !== version)
    throw new Error(`is of ${delta.model}/${delta.version}, not of ${model}/${version}`)
  if (delta.base !== base)
    throw new Error(`was made for other files of ${model}/${version}: its base is ${delta.base}, theirs ${base}`)
  for (const [i, table] of delta.tables.entries()) {
    const where = `table ${i} (${table.field})`
    const field = expected.fields.find(({ name }) => name === table.field)
    if (field === undefined) throw new Error(`${where}: ${unknownField(table.field, expected)}`)
    if (table.width !== field.width)
      throw new Error(`${where}: its rows have ${table.width} columns, but the table's have ${field.width}`)
    checkIds(table.ids, field.ids, where)
    checkValues(table.rows, table.width, where)
  }
  checkShared(delta, expected)
}

/** Fields that share a table must not name the same row of it: which of the two would be meant? */
function checkShared({ tables }: Delta, { fields }: Expectation): void {
  const named = tables.map(({ field, ids }, i) => {
    const { table, first } = fields.find(({ name }) => name === field)!
    return { where: `table ${i} (${field})`, field, ids, table, first }
  })
  for (const [i, { where, ids, table, first }] of named.entries())
    for (const other of named.slice(0, i)) {
      if (other.table !== table) continue
      const rows = new Set(Array.from(other.ids, (id) => other.first + id))
      const twice = ids.find((id) => rows.has(first + id))
      if (twice !== undefined)
        throw new Error(
          `${where}: its id ${twice} is row ${first + twice} of the table, and so is the id ${first + twice - other.first} of ${other.field}`,
        )
    }
}

function unknownField(field: string, { fields, others }: Expectation): string {
  if (others.includes(field)) return `${JSON.stringify(field)} is not declared live in the manifest`
  const names = fields.map(({ name }) => name)
  return `there is no field ${JSON.stringify(field)}${suggestNames(field, names, 'live are')}`
}

function checkIds(ids: Uint32Array, most: number, where: string): void {
  const outside = ids.findIndex((id) => id >= most)
  if (outside >= 0)
    throw new Error(`${where}, row ${outside}: the id ${ids[outside]} is out of range: ids are 0 to ${most - 1}`)
  const sorted = ids.slice().sort()
  const twice = sorted.find((id, i) => i > 0 && id === sorted[i - 1])
  if (twice !== undefined) throw new Error(`${where}, row ${ids.lastIndexOf(twice)}: the id ${twice} is there twice`)
}

function checkValues(rows: Float32Array, width: number, where: string): void {
  for (let i = 0; i < rows.length; i++)
    if (!Number.isFinite(rows[i]))
      throw new Error(`${where}, row ${Math.floor(i / width)}: column ${i % width} is ${rows[i]}, not a finite number`)
}

import { dirname, join, resolve } from 'node:path'
import { reasonOf, type Violation } from '../../base/errors.ts'
import { suggestNames } from '../../base/names.ts'
import { manifestFile, readManifest } from '../../model/serving/bundle/manifest.ts'
import { inputFields } from '../../model/serving/features/table.ts'
import { unfit, type WantedColumn, wantedOf } from '../../model/serving/features/table-fields.ts'
import { createFolderSource } from '../../model/serving/registry/source.ts'
import { type ChangedTable, openChanged } from '../../model/serving/tables/open-changed.ts'
import { openTable } from '../../model/serving/tables/open-table.ts'
import { highestIn, namesIn } from '../../model/serving/tables/table-folder.ts'
import type { Entities, Entity } from '../../schemas/entities.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import { type Join, JoinedSource } from './joined-source.ts'
import type { FieldReading } from './readers.ts'
import { type Source, SpecError } from './source.ts'

/** Entities whose features rows need not have. */
export interface RowEntities {
  entities: Entities
  /** The folder of their tables, unless the spec names another. */
  folder: string
  /** The version that has them, `shop/3`; undefined: the training spec. */
  of: string | undefined
}

/** Rows that may have columns of tables. */
export interface OpenRows {
  source: Source
  /** The tables that were joined. */
  joined: JoinedSource | undefined
  /** Lets go of the tables: nothing may read rows afterwards. */
  close(): void
}

/** Features that one table has for rows, by one of their columns. */
interface Wanted extends Omit<Join, 'features'> {
  /** By feature, what has an entity with it. */
  features: Map<string, string>
}

/**
 * Adds the features of entities that rows do not have, from the highest versions of their tables; `tables`: the folder
 * of these, relative to that of `file`; `open`: one of them that is open already, and that the caller closes. Rejects
 * with a SpecError where a table, a column of it or the rows' column of keys is lacking.
 */
export async function joinEntities(
  source: Source,
  { tables, file, open }: { tables?: string | undefined; file: string; open?: ChangedTable | undefined },
  fields: readonly FieldReading[],
  entities: readonly RowEntities[],
): Promise<OpenRows> {
  const joining = new Joining(source, fields, open)
  const named = tables === undefined ? undefined : resolve(dirname(file), tables)
  try {
    for (const one of entities)
      for (const [name, entity] of Object.entries(one.entities))
        await joining.add(name, entity, { ...one, folder: named ?? resolve(one.folder) })
    if (joining.problems.length > 0) throw new SpecError(file, joining.problems)
    const joins = joining.joins()
    const joined = joins.length === 0 ? undefined : new JoinedSource(source, joins, file)
    return { source: joined ?? source, joined, close: () => joining.close() }
  } catch (error) {
    joining.close()
    throw error
  }
}

class Joining {
  readonly problems: Violation[] = []
  readonly #source: Source
  readonly #fields: readonly FieldReading[]
  readonly #given: ChangedTable | undefined
  readonly #tables = new Map<string, ChangedTable>()
  readonly #wanted: Wanted[] = []

  constructor(source: Source, fields: readonly FieldReading[], given: ChangedTable | undefined) {
    this.#source = source
    this.#fields = fields
    this.#given = given
  }

  close(): void {
    for (const table of this.#tables.values()) table.close()
    this.#tables.clear()
  }

  joins(): Join[] {
    return this.#wanted.map(({ features, ...join }) => ({ ...join, features: [...features.keys()] }))
  }

  async add(name: string, entity: Entity, { of, folder }: RowEntities): Promise<void> {
    const { columns } = this.#source
    const features = entity.features.filter(
      (feature) => !columns.some((column) => column.name === feature) && this.#columnsWanted(feature).length > 0,
    )
    if (features.length === 0) return
    const path = of === undefined ? `/entities/${name}` : '/data'
    const title = of === undefined ? '' : `the entity ${name} of ${of}: `
    const add = (message: string) => this.problems.push({ path, message: `${title}${message}` })
    const key = columns.findIndex((column) => column.name === entity.key)
    if (key < 0) {
      add(`the rows have neither ${features.join(', ')} nor the key ${JSON.stringify(entity.key)}`)
      return
    }
    if (columns[key]!.type === 'list') {
      add(`the column of the key ${JSON.stringify(entity.key)} is one of lists`)
      return
    }
    const table = await this.#open(folder, entity.table).catch((error) => void add(reasonOf(error)))
    if (table === undefined) return
    const { name: tableName, version } = table.description
    for (const feature of features)
      for (const wanted of this.#columnsWanted(feature)) {
        const problem = unfit(wanted, table.table.columns.get(feature))
        if (problem !== undefined) add(`the table ${tableName}/${version} in ${folder} ${problem}`)
      }
    this.#want({ table, key, features, leavesOut: entity.unknown !== 'defaults' }, of ?? 'the spec', add)
  }

  /** How fields read a feature's column. */
  #columnsWanted(feature: string): WantedColumn[] {
    return this.#fields
      .filter(({ name, column, expression }) => expression === undefined && (column ?? name) === feature)
      .map(({ kind, list }) => ({ name: feature, kind, isList: list !== undefined }))
  }

  /** Versions that are compared share what they have of one table; they can't have a feature of two. */
  #want({ features, ...join }: Join, owner: string, add: (message: string) => void): void {
    let same = this.#wanted.find(({ table, key }) => table === join.table && key === join.key)
    if (same) same.leavesOut ||= join.leavesOut
    else {
      same = { ...join, features: new Map() }
      this.#wanted.push(same)
    }
    for (const feature of features) {
      const other = this.#wanted.find((one) => one !== same && one.features.has(feature))
      if (other === undefined) same.features.set(feature, owner)
      else
        add(
          `${feature} has another table or key than in ${other.features.get(feature)}: give the rows a column ${feature}`,
        )
    }
  }

  async #open(folder: string, name: string): Promise<ChangedTable> {
    const path = join(folder, name)
    if (this.#given && resolve(dirname(this.#given.shared.folder)) === path) return this.#given
    let open = this.#tables.get(path)
    if (open === undefined) {
      open = await openHighest(folder, name)
      this.#tables.set(path, open)
    }
    return open
  }
}

/** Opens the highest version of a table, as it would be served now. Rejects with an Error. */
export async function openHighest(folder: string, name: string): Promise<ChangedTable> {
  return openChanged(await findHighest(folder, name))
}

/** The folder of a table's highest version. Rejects with an Error that names the tables, where there is none. */
export async function findHighest(folder: string, name: string): Promise<string> {
  const highest = await highestIn(join(folder, name)).catch(() => undefined)
  if (highest !== undefined) return highest
  throw new Error(`${folder} has no table ${JSON.stringify(name)}${suggestNames(name, await namesIn(folder))}`)
}

/** Manifests of the versions in a models folder, by names such as `shop/1`; those that can't be read are left out. */
export async function* manifestsIn(models: string): AsyncGenerator<[name: string, manifest: Manifest]> {
  for (const { name, versions } of await createFolderSource(models)().catch(() => []))
    for (const { version } of versions) {
      const path = join(models, name, version, manifestFile)
      const manifest = await readManifest(path, path).catch(() => undefined)
      if (manifest !== undefined) yield [`${name}/${version}`, manifest]
    }
}

/** Versions in a models folder that can't use a table, by the reason. */
export async function unfitReaders(models: string, name: string, folder: string): Promise<Map<string, string[]>> {
  const { table, close } = openTable(folder)
  const found = new Map<string, string[]>()
  try {
    for await (const [version, { entities = {}, features }] of manifestsIn(models)) {
      const read = Object.values(entities).flatMap((entity) => (entity.table === name ? entity.features : []))
      for (const field of read.length === 0 ? [] : inputFields(features)) {
        const problem = read.includes(field.name) && unfit(wantedOf(field), table.columns.get(field.name))
        if (problem) found.set(problem, [...(found.get(problem) ?? []), version])
      }
    }
    return found
  } finally {
    close()
  }
}

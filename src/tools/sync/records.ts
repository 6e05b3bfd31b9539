import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { fileProblem, makeFolder, replaceFile } from '../../base/files.ts'
import { sha256 } from '../../model/serving/bundle/checksum.ts'
import { isVersion } from '../../model/serving/registry/source.ts'
import { tablesFolder } from '../../model/serving/tables/table-folder.ts'
import type { IndexedFiles } from '../../schemas/models-folder.ts'
import { tableOf } from './index-file.ts'

/*
 * The record of what `multigate sync` has put into a folder, kept in the folder itself:
 * `.sync/versions/<model>/<version>.json` holds the files of a version as the index listed them, and
 * `.sync/tables/<table>/<version>.json` those of a table's. The server ignores names that begin with a dot.
 */

export const syncFolder = '.sync'

export interface VersionId {
  /** The folder of its versions: the name of a model, or `.tables/` and that of a table. */
  model: string
  version: string
}

export interface Records {
  /** The files of a version that sync has put here; undefined if it did not. */
  find(id: VersionId): Promise<IndexedFiles | undefined>
  /** Those of models first. */
  list(): Promise<VersionId[]>
  write(id: VersionId, files: IndexedFiles): Promise<void>
  remove(id: VersionId): Promise<void>
  /** The files that sync has put beside a model's versions. */
  filesBeside(model: string): Promise<IndexedFiles>
  writeBeside(model: string, files: IndexedFiles): Promise<void>
  /** The models that have such files. */
  modelsWithFiles(): Promise<string[]>
}

/** The records of a folder of models. */
export function openRecords(folder: string): Records {
  const roots = { versions: join(folder, syncFolder, 'versions'), tables: join(folder, syncFolder, 'tables') }
  const beside = join(folder, syncFolder, 'files')
  const pathOf = ({ model, version }: VersionId) => {
    const table = tableOf(model)
    return join(roots[table === undefined ? 'versions' : 'tables'], table ?? model, `${version}.json`)
  }
  return {
    find: (id) => readRecord(pathOf(id)),
    async list() {
      const found: VersionId[] = []
      for (const [kind, prefix] of [['versions', ''] as const, ['tables', `${tablesFolder}/`] as const])
        for (const name of await namesIn(roots[kind]))
          for (const file of await namesIn(join(roots[kind], name))) {
            const version = file.replace(/\.json$/, '')
            if (isVersion(version)) found.push({ model: `${prefix}${name}`, version })
          }
      return found
    },
    write: (id, files) => writeRecord(pathOf(id), files),
    remove: (id) => rm(pathOf(id), { force: true }),
    filesBeside: async (model) => (await readRecord(join(beside, `${model}.json`))) ?? {},
    writeBeside: (model, files) => writeRecord(join(beside, `${model}.json`), files),
    modelsWithFiles: async () =>
      (await namesIn(beside)).filter((name) => !name.startsWith('.')).map((name) => name.replace(/\.json$/, '')),
  }
}

async function readRecord(path: string): Promise<IndexedFiles | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as IndexedFiles
  } catch (cause) {
    // A record that was half written when the machine stopped is none: the version's own files decide then.
    if (cause instanceof SyntaxError || (cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Error(`${path} ${fileProblem(cause)}`, { cause })
  }
}

async function writeRecord(path: string, files: IndexedFiles): Promise<void> {
  await makeFolder(dirname(path))
  await replaceFile(path, JSON.stringify(files))
}

export function versionId({ model, version }: VersionId): string {
  return `${model}/${version}`
}

/** A version as the log names it. */
export function fieldsOf({ model, version }: VersionId): Record<string, string> {
  const table = tableOf(model)
  return table === undefined ? { model, version } : { table, version }
}

/** Checks versions on disk; a version is only read again after one of its files has changed. */
export class Verifier {
  readonly #folder: string
  readonly #verified = new Map<string, { stamp: string; files: IndexedFiles }>()

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Notes a version whose files were checked on their way to the disk: they are not read again. */
  async trust(id: VersionId, files: IndexedFiles): Promise<void> {
    this.#verified.set(versionId(id), { stamp: await this.#stampOf(id, files), files })
  }

  /** Whether a version is on disk with these files. */
  async verify(id: VersionId, files: IndexedFiles): Promise<boolean> {
    const place = join(this.#folder, versionId(id))
    const stamp = await this.#stampOf(id, files)
    const known = this.#verified.get(versionId(id))
    if (known?.stamp === stamp && isDeepStrictEqual(known.files, files)) return true
    this.#verified.delete(versionId(id))
    for (const [path, file] of Object.entries(files)) {
      const found = await sha256(join(place, path)).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EISDIR') return undefined
        throw error
      })
      if (found !== file.sha256) return false
    }
    this.#verified.set(versionId(id), { stamp, files })
    return true
  }

  async #stampOf(id: VersionId, files: IndexedFiles): Promise<string> {
    const stamps = Object.keys(files).map(async (path) => {
      const found = await stat(join(this.#folder, versionId(id), path)).catch(() => undefined)
      return found && `${found.ino} ${found.size} ${found.mtimeMs}`
    })
    return (await Promise.all(stamps)).join()
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

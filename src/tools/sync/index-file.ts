import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Static, TSchema } from 'typebox'
import { excerptOf } from '../../base/address-credentials.ts'
import { replaceFile } from '../../base/files.ts'
import { checksums, sha256 } from '../../model/serving/bundle/checksum.ts'
import { isOfDeltas } from '../../model/serving/delta-files/delta-folder.ts'
import { parseJson } from '../../model/serving/registry/schedule.ts'
import { createFolderSource, isVersion, labelsFile } from '../../model/serving/registry/source.ts'
import { tablesFolder } from '../../model/serving/tables/table-folder.ts'
import { check } from '../../schemas/check.ts'
import { type IndexedFiles, type IndexedModel, SyncIndex } from '../../schemas/models-folder.ts'
import type { ProblemItem } from '../../schemas/problem.ts'

/*
 * The index of a models folder, which says what a copy of it must hold.
 */

export const indexFile = 'index.json'

/** Bytes of an index, at most: more than 100,000 files. */
export const largestIndex = 32 * 1024 * 1024

/** Values of an index, at most: each may take hundreds of bytes of memory, and the largest index needs fewer. */
const mostValues = 1_000_000

/** Characters of a problem that a message has at most: names of the source are in it. */
const longestProblem = 500

/** The files of a source. */
export interface Listing {
  /** By the folder of their versions: the name of a model, or `.tables/` and that of a table. */
  models: Record<string, IndexedModel>
  /** Whether it says which tables there are: otherwise those that were copied stay. */
  listsTables: boolean
}

/**
 * Parses an index, without the deltas that it may list. Throws an Error that names the wrong place; an index without a
 * model is wrong, too.
 */
export function parseIndex(text: string): Listing {
  return { models: checkModels(parseDocument(SyncIndex, text).models), listsTables: false }
}

/** Parses JSON of a form. Throws an Error that names the wrong place, after `problem`. */
export function parseDocument<T extends TSchema>(schema: T, text: string, problem = ''): Static<T> {
  if (holdsMoreValues(text, mostValues)) throw new Error(`${problem}the document has more than ${mostValues} values`)
  // The first problem ends the check: there may be a million.
  const push = ({ path, message }: ProblemItem) => {
    throw new Error(excerptOf(`${problem}${path || 'the document'} ${message}`, longestProblem))
  }
  return check(schema, parseJson(text), '', Object.assign<ProblemItem[], object>([], { push })) as Static<T>
}

/** Whether a JSON text has more values than `most`: each but the first follows a comma or a bracket. */
function holdsMoreValues(text: string, most: number): boolean {
  let values = 0
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if (character === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++
    } else if ((character === ',' || character === '{' || character === '[') && ++values > most) return true
  }
  return false
}

/**
 * Models by their names, without deltas: these come and go while a version is served, which otherwise never changes.
 * Throws an Error where a name would leave the folder, or no model is there: an empty source must not empty its copies.
 */
export function checkModels(models: Record<string, IndexedModel>): Record<string, IndexedModel> {
  if (Object.keys(models).length === 0) throw new Error('lists no model')
  return withoutDeltas(models, 'model')
}

/** The same of tables, of which none need be there, by the folders of their versions. */
export function checkTables(tables: Record<string, IndexedModel>): Record<string, IndexedModel> {
  const checked = Object.entries(withoutDeltas(tables, 'table'))
  return Object.fromEntries(checked.map(([name, table]) => [`${tablesFolder}/${name}`, table]))
}

function withoutDeltas(models: Record<string, IndexedModel>, kind: 'model' | 'table'): Record<string, IndexedModel> {
  for (const { versions } of Object.values(models))
    for (const files of Object.values(versions))
      for (const path of Object.keys(files)) if (isOfDeltas(path)) delete files[path]
  checkNames(models, kind)
  return models
}

/** The table whose versions are in a folder of a listing; undefined for a model's. */
export function tableOf(folder: string): string | undefined {
  return folder.startsWith(`${tablesFolder}/`) ? folder.slice(tablesFolder.length + 1) : undefined
}

/** A text of the source as a message shows it. */
export const quoted = (text: string | undefined) => JSON.stringify(text && excerptOf(text, 200))

/** The schedule of a version, beside its folder. */
export const scheduleOf = (version: string) => `${version}.json`

/** Whether a file of this name belongs beside a model's versions: labels, or the schedule of one. */
export function isBesideVersions(name: string): boolean {
  return name === labelsFile || (name.endsWith('.json') && isVersion(name.slice(0, -'.json'.length)))
}

/** Throws an Error where a name would leave the folder. */
function checkNames(models: Readonly<Record<string, IndexedModel>>, kind: 'model' | 'table'): void {
  for (const [model, { versions, files = {} }] of Object.entries(models)) {
    if (!isFileName(model) || model.startsWith('.')) throw new Error(`${quoted(model)} is not the name of a ${kind}`)
    for (const [version, content] of Object.entries(versions)) {
      if (!isVersion(version)) throw new Error(`${quoted(version)} of ${model} is not a version, such as "7"`)
      if (Object.keys(content).length === 0) throw new Error(`${model}/${version} lists no file`)
      for (const path of Object.keys(content))
        if (path.length > 1024 || !path.split('/').every(isFileName))
          throw new Error(`${quoted(path)} of ${model}/${version} is not a path inside its folder`)
    }
    for (const name of Object.keys(files))
      if (!isBesideVersions(name))
        throw new Error(`${quoted(name)} of ${model} is neither ${labelsFile} nor a schedule, such as 7.json`)
  }
}

function isFileName(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  return name !== '' && name !== '.' && name !== '..' && name.length <= 255 && !/[/\\\u0000-\u001f]/.test(name)
}

/**
 * Writes the index of a models folder into it and resolves with the number of models, versions and bytes. Rejects with
 * an Error where there is none, or one can't be read.
 */
export async function writeIndex(folder: string): Promise<{ models: number; versions: number; bytes: number }> {
  // Any name is only a name here, `__proto__` too.
  const models: Record<string, IndexedModel> = Object.create(null)
  const count = { models: 0, versions: 0, bytes: 0 }
  for (const { name, versions, problem } of await createFolderSource(folder)()) {
    if (problem !== undefined) throw new Error(problem)
    const model: IndexedModel = { versions: {} }
    for (const { version } of versions) {
      const files = await indexFiles(join(folder, name, version))
      model.versions[version] = files
      count.versions++
      count.bytes += indexedBytes(files)
    }
    for (const file of [labelsFile, ...versions.map(({ version }) => scheduleOf(version))]) {
      const found = await stat(join(folder, name, file)).catch(() => undefined)
      if (found === undefined) continue
      model.files ??= {}
      model.files[file] = { bytes: found.size, sha256: await sha256(join(folder, name, file)) }
    }
    models[name] = model
    count.models++
  }
  if (count.models === 0) throw new Error(`${folder} holds no model: a model is a folder such as ${folder}/ads/1`)
  const index: SyncIndex = { format: 1, models }
  checkNames(models, 'model')
  await replaceFile(join(folder, indexFile), `${JSON.stringify(index, undefined, 1)}\n`, 0o644)
  return count
}

/** The size of all these files together. */
export function indexedBytes(files: IndexedFiles): number {
  return Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0)
}

/** The files of a version's folder. */
export async function indexFiles(folder: string): Promise<IndexedFiles> {
  const files: IndexedFiles = {}
  for (const [path, sha256] of Object.entries(await checksums(folder)))
    files[path] = { bytes: (await stat(join(folder, path))).size, sha256 }
  return files
}

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Static, TSchema } from 'typebox'
import { excerptOf } from '../../base/address-credentials.ts'
import { replaceFile } from '../../base/files.ts'
import { checksums, sha256 } from '../../model/serving/bundle/checksum.ts'
import { isOfDeltas } from '../../model/serving/delta-files/delta-folder.ts'
import { parseJson } from '../../model/serving/registry/schedule.ts'
import { createFolderSource, isVersion, labelsFile } from '../../model/serving/registry/source.ts'
import { check } from '../../schemas/check.ts'
import { type IndexedFiles, type IndexedModel, SyncIndex } from '../../schemas/models-folder.ts'
import type { ProblemItem } from '../../schemas/problem.ts'

/*
 * The index of a models folder, which says what a copy of it must hold.
 */

export const indexFile = 'index.json'

/** Bytes of an index, at most: more than 100,000 files. */
export const largestIndex = 32 * 1024 * 1024

/**
 * Parses an index, without the deltas that it may list. Throws an Error that names the wrong place; an index without a
 * model is wrong, too.
 */
export function parseIndex(text: string): SyncIndex {
  return withoutDeltas(parseDocument(SyncIndex, text))
}

/** Parses JSON of a form. Throws an Error that names the wrong place, after `problem`. */
export function parseDocument<T extends TSchema>(schema: T, text: string, problem = ''): Static<T> {
  const problems: ProblemItem[] = []
  const value = check(schema, parseJson(text), '', problems)
  const [first] = problems
  if (first) throw new Error(`${problem}${first.path || 'the document'} ${first.message}`)
  return value as Static<T>
}

/**
 * An index without deltas, which come and go while a version is served, which otherwise never changes. Throws like
 * `checkNames`.
 */
export function withoutDeltas(index: SyncIndex): SyncIndex {
  for (const { versions } of Object.values(index.models))
    for (const files of Object.values(versions))
      for (const path of Object.keys(files)) if (isOfDeltas(path)) delete files[path]
  checkNames(index)
  return index
}

/** A text of the source as a message shows it. */
export const quoted = (text: string | undefined) => JSON.stringify(text && excerptOf(text, 200))

/** The schedule of a version, beside its folder. */
export const scheduleOf = (version: string) => `${version}.json`

/** Whether a file of this name belongs beside a model's versions: labels, or the schedule of one. */
export function isBesideVersions(name: string): boolean {
  return name === labelsFile || (name.endsWith('.json') && isVersion(name.slice(0, -'.json'.length)))
}

/**
 * Throws an Error where a name would leave the folder, or no model is there: an empty source must not empty its copies.
 */
function checkNames({ models }: SyncIndex): void {
  if (Object.keys(models).length === 0) throw new Error('lists no model')
  for (const [model, { versions, files = {} }] of Object.entries(models)) {
    if (!isFileName(model) || model.startsWith('.')) throw new Error(`${quoted(model)} is not the name of a model`)
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
  checkNames(index)
  await replaceFile(join(folder, indexFile), `${JSON.stringify(index, undefined, 1)}\n`, 0o644)
  return count
}

/** The size of all these files together. */
export function indexedBytes(files: IndexedFiles): number {
  return Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0)
}

async function indexFiles(folder: string): Promise<IndexedFiles> {
  const files: IndexedFiles = {}
  for (const [path, sha256] of Object.entries(await checksums(folder)))
    files[path] = { bytes: (await stat(join(folder, path))).size, sha256 }
  return files
}

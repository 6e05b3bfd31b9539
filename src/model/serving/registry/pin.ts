import { lstat, readdir, realpath, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import { fileReason, replaceFile } from '../../../base/files.ts'
import { compareVersions } from '../../../base/names.ts'
import { byCommand } from './authors.ts'
import { parseJson } from './schedule.ts'
import { isVersion, labelsFile, type PinnedBy, pinKey, pinnedByFile, readLabels } from './source.ts'

/** Who changes a pin. */
export interface PinAuthor {
  /** The id of an API key, or a word of `authors.ts`; default: the command. */
  by?: string
  /** ms since 1970; default: the system's clock. */
  now?(): number
}

/**
 * Pins a version of a model, in the file of its labels: a server that looks at the folder has it answer requests that
 * name none. Answers the version that was pinned before.
 *
 * Rejects with MODEL_NOT_FOUND, VERSION_NOT_FOUND, which lists the versions that there are, or INVALID_BUNDLE where the
 * labels can't be read or written.
 */
export async function pinVersion(
  root: string,
  model: string,
  version: string,
  author: PinAuthor = {},
): Promise<string | undefined> {
  const versions = await versionsOf(root, model)
  if (!versions.includes(version)) {
    const known = versions.length === 0 ? 'it has none' : `it has ${versions.join(', ')}`
    throw new ModelError('VERSION_NOT_FOUND', `${model} has no version ${version}; ${known}`)
  }
  return edit({ root, model, version, author }, (entries) => ({ ...entries, [pinKey]: version }))
}

/**
 * Removes the pin of a model. Answers the version that was pinned; undefined where none was. Rejects like `pinVersion`.
 */
export async function unpinVersion(root: string, model: string, author: PinAuthor = {}): Promise<string | undefined> {
  await versionsOf(root, model)
  return edit({ root, model, version: undefined, author }, ({ [pinKey]: _, ...entries }) => entries)
}

async function versionsOf(root: string, model: string): Promise<string[]> {
  const missing = () => new ModelError('MODEL_NOT_FOUND', `There is no model ${JSON.stringify(model)} in ${root}`)
  if (/[\\/]/.test(model) || model.startsWith('.') || model === '') throw missing()
  const entries = await readdir(join(root, model)).catch(() => {
    throw missing()
  })
  return entries.filter(isVersion).sort(compareVersions)
}

type Entries = Record<string, unknown>

interface Edit {
  root: string
  model: string
  /** The version that is pinned then. */
  version: string | undefined
  author: PinAuthor
}

/** Replaces the entries in one step, so that no reader sees half of them. A file without entries is removed. */
async function edit(
  { root, model, version, author }: Edit,
  change: (entries: Entries) => Entries,
): Promise<string | undefined> {
  const link = join(root, model, labelsFile)
  const place = `${model}/${labelsFile}`
  try {
    // A link stays one.
    const path = await realpath(link).catch((error) => (error.code === 'ENOENT' ? link : Promise.reject(error)))
    const { entries, mode } = await read(path)
    const former = entries[pinKey]
    const changed = change(entries)
    const linked = path !== link && (await lstat(link)).isSymbolicLink()
    if (JSON.stringify(changed) !== JSON.stringify(entries)) {
      // A reader that sees the new pin can read whose it is.
      await writeAuthor(join(root, model, pinnedByFile), version, author)
      if (Object.keys(changed).length === 0 && !linked) await rm(path)
      else await replaceFile(path, `${JSON.stringify(changed, null, 2)}\n`, mode)
    }
    return former === undefined ? undefined : String(former)
  } catch (error) {
    if (error instanceof Error && error.cause instanceof SyntaxError) throw invalid(`${place} ${error.message}`)
    throw error instanceof ModelError ? error : invalid(`${place} can't be changed: ${describeError(error)}`)
  }
}

/** Labels may be a link to a place that can be written, in a folder that can't: then nobody says whose the pin is. */
async function writeAuthor(
  path: string,
  version: string | undefined,
  { by = byCommand, now = Date.now }: PinAuthor,
): Promise<void> {
  const written: PinnedBy = { ...(version !== undefined && { pin: version }), by, at: new Date(now()).toISOString() }
  await replaceFile(path, `${JSON.stringify(written)}\n`).catch(() => undefined)
}

async function read(path: string): Promise<{ entries: Entries; mode: number | undefined }> {
  const found = await stat(path).catch((error) => (error.code === 'ENOENT' ? undefined : Promise.reject(error)))
  if (found === undefined) return { entries: {}, mode: undefined }
  const entries: unknown = parseJson(await readLabels(path))
  if (typeof entries !== 'object' || entries === null || Array.isArray(entries))
    throw new Error('it must be an object of label: version')
  return { entries: entries as Entries, mode: found.mode }
}

const describeError = (error: unknown) =>
  (error as NodeJS.ErrnoException).syscall === undefined ? reasonOf(error) : fileReason(error)
const invalid = (message: string) => new ModelError('INVALID_BUNDLE', message)

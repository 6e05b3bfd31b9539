import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import Type from 'typebox'
import { Check } from 'typebox/schema'
import { reasonOf } from '../../../base/errors.ts'
import { fileReason, sizeOfOrdinary } from '../../../base/files.ts'
import { ModelName } from '../../../schemas/manifest.ts'
import { isOfDeltas } from '../delta-files/delta-folder.ts'
import { parseJson, readSchedule } from './schedule.ts'

/** A version that should exist. */
export interface SourceVersion {
  version: string
  /** Changes when any of the version's files but deltas does: a version that failed is tried again then. */
  stamp: string
  /** When it takes effect, ms since 1970; undefined: immediately. */
  activateAt?: number
  /** Why that can't be said: the version is not loaded. */
  problem?: string
}

export interface SourceModel {
  name: string
  versions: SourceVersion[]
  /** Version by label, from the model's labels.json. */
  labels: Record<string, string>
  /** The version that is pinned, from the same file. */
  pin?: string
  /** The note that the author of the last change of the pin left beside it. */
  pinnedBy?: PinnedBy
  /** The problem of the model's folder as a whole. */
  problem?: string
  /** The part that can't be read now and keeps its former value: all of the model, or its labels. */
  unknown?: 'all' | 'labels'
}

/** Who changed a pin. */
export interface PinnedBy {
  /** The version that they pinned; undefined: they removed the pin. */
  pin?: string | undefined
  by: string
  /** ISO 8601. */
  at: string
}

/** Another version is pinned, or none any more. */
export type PinChange = { name: string; by: string } & (
  | { version: string; from: string | undefined }
  | { version: undefined; from: string }
)

/** Lists the models and versions that should exist. Rejects if they can't be read: then nothing changes. */
export type Source = () => Promise<SourceModel[]>

export const labelsFile = 'labels.json'

/** Says who changed the pin. It is a file of its own: older releases refuse labels with more entries than they know. */
export const pinnedByFile = 'pinned-by.json'
const PinnedByShape = Type.Object({
  pin: Type.Optional(Type.String({ maxLength: 18 })),
  by: Type.String({ pattern: '^[A-Za-z0-9_.-]{1,64}$' }),
  at: Type.String({ maxLength: 40 }),
})

/** Names the pinned version among the labels. No label begins so. */
export const pinKey = '$pin'
const reserved = '$'

const versionPattern = /^[1-9][0-9]{0,17}$/

/** Bytes. */
const largestLabels = 1024 * 1024

/** The folder that every ext4 volume has at its root. */
const lostAndFound = 'lost+found'

/**
 * `<root>/<name>/<version>/`, versions being positive integers, each with an optional `<root>/<name>/<version>.json`,
 * and an optional `<root>/<name>/labels.json`. `now`: by the wall clock, ms since 1970.
 */
export function createFolderSource(root: string, now: () => number = Date.now): Source {
  return async () => {
    const folders = await readdir(root, { withFileTypes: true })
    const models = folders
      .filter((entry) => !entry.name.startsWith('.') && entry.name !== lostAndFound && !entry.isFile())
      .map(({ name }) => readModel(root, name, now()))
    return (await Promise.all(models)).filter((model) => model !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1))
  }
}

/** A model that can't be read for a moment, or whose labels are half written, must not lose what it serves. */
export function keepUnknown(model: SourceModel, before: SourceModel | undefined): SourceModel {
  if (before === undefined || model.unknown === undefined) return model
  const { versions, labels, pin } = before
  const kept = { labels, ...(pin === undefined ? {} : { pin }) }
  return model.unknown === 'labels' ? { ...model, ...kept } : { ...model, versions, ...kept }
}

/** No request can name such a model. */
const unusable =
  "can't be the name of a model: up to 128 letters of a to z, digits, dots, underscores and hyphens, of which the first is a letter or digit"

async function readModel(root: string, name: string, now: number): Promise<SourceModel | undefined> {
  const folder = join(root, name)
  let entries: string[]
  try {
    if (!(await stat(folder)).isDirectory()) return undefined
    if (!Check(ModelName, name))
      return { name, versions: [], labels: {}, problem: `${JSON.stringify(name)} ${unusable}` }
    entries = await readdir(folder)
  } catch (error) {
    return { name, versions: [], labels: {}, problem: `${name} can't be read: ${reason(error)}`, unknown: 'all' }
  }
  const numbered = entries.filter(isVersion)
  const versions = await Promise.all(numbered.map((version) => readVersion(root, name, version, now)))
  const model: SourceModel = { name, versions, labels: {} }
  if (versions.length === 0)
    model.problem = `${name} has no version: a version is a folder named by a number, such as ${name}/1`
  try {
    if (entries.includes(labelsFile)) Object.assign(model, parseLabels(await readLabels(join(folder, labelsFile))))
  } catch (error) {
    model.problem = `${name}/${labelsFile} ${reason(error)}`
    model.unknown = 'labels'
  }
  // After the labels: it is written before them.
  const pinnedBy = entries.includes(pinnedByFile) ? await readPinnedBy(join(folder, pinnedByFile)) : undefined
  return pinnedBy === undefined ? model : { ...model, pinnedBy }
}

/** Undefined where it says nothing that can be read: a pin counts all the same. */
async function readPinnedBy(path: string): Promise<PinnedBy | undefined> {
  try {
    const found: unknown = parseJson(await readLabels(path))
    return Check(PinnedByShape, found) ? found : undefined
  } catch {
    return undefined
  }
}

async function readVersion(root: string, name: string, version: string, now: number): Promise<SourceVersion> {
  const stamp = await stampOf(join(root, name, version))
  const schedule = await readSchedule(root, name, version, now)
  // A version that failed for its schedule is tried again when that is another one.
  return { version, stamp: schedule.problem === undefined ? stamp : `${stamp}\n${schedule.problem}`, ...schedule }
}

/** Without the path, which clients must not see. */
function reason(error: unknown): string {
  return (error as NodeJS.ErrnoException).syscall === undefined ? reasonOf(error) : fileReason(error)
}

async function stampOf(folder: string): Promise<string> {
  const stamps = async (file: string) => {
    const { mtimeMs, size } = await stat(join(folder, file))
    return `${file} ${mtimeMs} ${size}`
  }
  try {
    // A version follows its deltas while it is served.
    const files = (await readdir(folder, { recursive: true })).filter((file) => !isOfDeltas(file))
    return (await Promise.all(files.sort().map(stamps))).join('\n')
  } catch (error) {
    return `unreadable: ${reasonOf(error)}`
  }
}

/** Text of the file of labels. */
export async function readLabels(path: string): Promise<string> {
  if ((await sizeOfOrdinary(path)) > largestLabels) throw new Error(`is larger than ${largestLabels} bytes`)
  return readFile(path, 'utf8')
}

function parseLabels(text: string): Pick<SourceModel, 'labels' | 'pin'> {
  const parsed = parseJson(text)
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new Error('must be an object of label: version')
  for (const [label, version] of Object.entries(parsed)) {
    if (typeof version !== 'string') throw new Error(`maps ${JSON.stringify(label)} to a value that is not a string`)
    if (label === pinKey && !isVersion(version))
      throw new Error(`pins ${JSON.stringify(version)}, which is not a version: a version is a number, such as "3"`)
    if (label !== pinKey && label.startsWith(reserved))
      throw new Error(`has the label ${JSON.stringify(label)}: no label begins with ${reserved}`)
  }
  const { [pinKey]: pin, ...labels } = parsed as Record<string, string>
  return { labels, ...(pin === undefined ? {} : { pin }) }
}

/** Whether a folder of this name is a version: a positive integer without leading zeros. */
export function isVersion(name: string): boolean {
  return versionPattern.test(name)
}

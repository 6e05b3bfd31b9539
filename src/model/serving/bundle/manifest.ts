import { readFile } from 'node:fs/promises'
import { listProblems, ModelError, type ModelErrorCode, reasonOf, type Violation } from '../../../base/errors.ts'
import { fileReason, sizeOfOrdinary } from '../../../base/files.ts'
import { runThread, ThreadFailure } from '../../../base/one-shot-thread.ts'
import { check } from '../../../schemas/check.ts'
import { Manifest } from '../../../schemas/manifest.ts'
import type { ProblemItem } from '../../../schemas/problem.ts'
import { withArchitectures, withCanonicalArchitecture } from '../../graph/architectures/table.ts'
import { contradictions } from './consistency.ts'

export const manifestFile = 'manifest.json'

/** Maximum size of a manifest, bytes: most are small, but vocabularies can be long. */
const largestManifest = 256 * 1024 * 1024

/** Manifests up to this size, bytes, are parsed in the calling thread, which takes a few milliseconds. */
const smallManifest = 1 << 18

const CompleteManifest = withArchitectures(Manifest)

/** Parses and checks a manifest's text; `where` names it in errors. */
export function parseManifest(text: string, where: string): Manifest {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    return invalid(`${where} is not JSON: ${reasonOf(cause)}`)
  }
  const { manifest, problems } = checkManifest(json, where)
  if (problems.length > 0) invalid(`${where}: ${listProblems(problems).join('; ')}`)
  return manifest
}

function checkManifest(json: unknown, where: string): { manifest: Manifest; problems: Violation[] } {
  try {
    const malformed: ProblemItem[] = []
    const manifest = check(CompleteManifest, withCanonicalArchitecture(json), '', malformed) as Manifest
    const problems =
      malformed.length > 0
        ? malformed.map(({ path, message }) => ({ path: path || '/', message }))
        : contradictions(manifest).map(apart)
    return { manifest, problems }
  } catch (cause) {
    // Stack overflow.
    return invalid(`${where} can't be checked: ${reasonOf(cause)}`, cause)
  }
}

/** A text that begins with a JSON pointer. */
function apart(text: string): Violation {
  const [, path = '', message = text] = /^(\/\S*) (.*)$/s.exec(text) ?? []
  return { path, message }
}

/** Reads and checks a manifest; `where` names it in errors. Rejects with INVALID_BUNDLE. */
export async function readManifest(path: string, where: string): Promise<Manifest> {
  let text: string
  try {
    const size = await sizeOfOrdinary(path)
    if (size > largestManifest) invalid(`${where} is larger than ${largestManifest} bytes`)
    if (size > smallManifest) return await readManifestInThread({ path, where })
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof ModelError) throw cause
    return invalid(`${where} can't be read: ${fileReason(cause)}`, cause)
  }
  return parseManifest(text, where)
}

function invalid(message: string, cause?: unknown): never {
  throw new ModelError('INVALID_BUNDLE', message, { cause })
}

/** A manifest's file, and its name in errors. */
export interface ManifestFile {
  path: string
  where: string
}

/** Messages of the thread: the manifest without vocabularies, their values in chunks, then `done`; or an error. */
export type ManifestMessage =
  | { manifest: Manifest }
  | { field: number; values: string[] }
  | { done: true }
  | { code: ModelErrorCode; message: string; transient: boolean }

/**
 * Reads and checks a large manifest in a thread of its own: a vocabulary of a million values would block the event loop
 * for most of a second. Values arrive in chunks, each requested in a turn of the event loop of its own. Throws
 * INVALID_BUNDLE.
 */
export async function readManifestInThread(file: ManifestFile): Promise<Manifest> {
  let manifest: Manifest
  try {
    return await runThread<Manifest, ManifestMessage>(
      new URL('./manifest-thread.js', import.meta.url),
      file,
      (message, post) => {
        if ('code' in message) throw new ModelError(message.code, message.message, message)
        if ('done' in message) return manifest
        if ('manifest' in message) manifest = message.manifest
        else append(manifest, message)
        post('next')
        return undefined
      },
    )
  } catch (error) {
    if (!(error instanceof ThreadFailure)) throw error
    throw new ModelError('INVALID_BUNDLE', `${file.where} can't be read: ${error.message}`)
  }
}

function append({ features }: Manifest, { field, values }: Extract<ManifestMessage, { field: number }>): void {
  const feature = features[field]
  if (feature?.kind === 'vocabulary') for (const value of values) feature.values.push(value)
}

import type { Manifest } from '../../schemas/manifest.ts'
import { ModelError, type ModelErrorCode } from '../base/errors.ts'
import { runThread, ThreadFailure } from '../base/one-shot-thread.ts'

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
 * Reads and checks a large manifest in a thread of its own: a vocabulary of a million values would block the event loop for
 * most of a second. Values arrive in chunks, each requested in a turn of the event loop of its own. Throws INVALID_BUNDLE.
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

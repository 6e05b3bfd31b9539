import { Worker } from 'node:worker_threads'
import type { Manifest } from '../../schemas/manifest.ts'
import { ModelError, type ModelErrorCode, reasonOf } from '../base/errors.ts'

/** A manifest's text: where it lies, and what errors call it. */
export interface ManifestFile {
  path: string
  where: string
}

/** What the thread sends: the manifest without its vocabularies, these in pieces, and that it is whole; or what is wrong. */
export type ManifestMessage =
  | { manifest: Manifest }
  | { field: number; values: string[] }
  | { whole: true }
  | { code: ModelErrorCode; message: string }

/**
 * Reads and checks a large manifest in a thread of its own: a vocabulary of a million values would keep the event loop for
 * most of a second. Its values come in pieces, each asked for in a turn of its own. Throws INVALID_BUNDLE.
 */
export function readManifestInThread(file: ManifestFile): Promise<Manifest> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./manifest-thread.js', import.meta.url), { workerData: file })
    const fail = (reason: string) => reject(new ModelError('INVALID_BUNDLE', `${file.where} can't be read: ${reason}`))
    let manifest: Manifest
    worker.on('message', (message: ManifestMessage) => {
      if ('code' in message) reject(new ModelError(message.code, message.message))
      else if ('whole' in message) resolve(manifest)
      else {
        if ('manifest' in message) manifest = message.manifest
        else append(manifest, message)
        worker.postMessage('next')
      }
    })
    worker.once('error', (error) => fail(reasonOf(error)))
    worker.once('exit', (code) => fail(`the thread that read it ended with exit code ${code}`))
  })
}

function append({ features }: Manifest, { field, values }: Extract<ManifestMessage, { field: number }>): void {
  const feature = features[field]
  if (feature?.kind === 'vocabulary') for (const value of values) feature.values.push(value)
}

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { ModelError, reasonOf } from '../base/errors.ts'
import { parseManifest } from './manifest.ts'
import type { ManifestFile, ManifestMessage } from './manifest-in-thread.ts'

/* A thread that reads one manifest, hands it over, and ends. */

/** Values of a vocabulary in one piece: a few milliseconds for those who receive it. */
const piece = 20_000

const send = (message: ManifestMessage) => parentPort!.postMessage(message)

/** Sends, and waits until more is asked for. */
async function hand(message: ManifestMessage): Promise<void> {
  const asked = once(parentPort!, 'message')
  send(message)
  await asked
}

try {
  const { path, where } = workerData as ManifestFile
  const manifest = parseManifest(readFileSync(path, 'utf8'), where)
  const vocabularies = manifest.features.map((field) => (field.kind === 'vocabulary' ? field.values : []))
  const features = manifest.features.map((field) => (field.kind === 'vocabulary' ? { ...field, values: [] } : field))
  await hand({ manifest: { ...manifest, features } })
  for (const [field, values] of vocabularies.entries())
    for (let start = 0; start < values.length; start += piece)
      await hand({ field, values: values.slice(start, start + piece) })
  send({ whole: true })
} catch (error) {
  send({ code: error instanceof ModelError ? error.code : 'INVALID_BUNDLE', message: reasonOf(error) })
}

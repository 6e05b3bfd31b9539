import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { isTransient, ModelError, reasonOf } from '../../../base/errors.ts'
import { vocabularyChunk } from '../features/vocabulary.ts'
import { type ManifestFile, type ManifestMessage, parseManifest } from './manifest.ts'

/* A thread that reads one manifest, sends it, and ends. */

const send = (message: ManifestMessage) => parentPort!.postMessage(message)

async function sendAndWait(message: ManifestMessage): Promise<void> {
  const next = once(parentPort!, 'message')
  send(message)
  await next
}

try {
  const { path, where } = workerData as ManifestFile
  const manifest = parseManifest(readFileSync(path, 'utf8'), where)
  const vocabularies = manifest.features.map((field) => (field.kind === 'vocabulary' ? field.values : []))
  const features = manifest.features.map((field) => (field.kind === 'vocabulary' ? { ...field, values: [] } : field))
  await sendAndWait({ manifest: { ...manifest, features } })
  for (const [field, values] of vocabularies.entries())
    for (let start = 0; start < values.length; start += vocabularyChunk)
      await sendAndWait({ field, values: values.slice(start, start + vocabularyChunk) })
  send({ done: true })
} catch (error) {
  const code = error instanceof ModelError ? error.code : 'INVALID_BUNDLE'
  send({ code, message: reasonOf(error), transient: isTransient(error) })
}

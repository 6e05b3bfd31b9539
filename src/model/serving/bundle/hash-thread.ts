import { parentPort, workerData } from 'node:worker_threads'
import { sha256 } from './checksum.ts'

/* A thread that computes the checksums of large files and ends, so that they do not keep the main thread. */

const digests = new Map<string, string>()
for (const path of workerData as string[]) {
  // The main thread tries again, and reports why a file can't be read.
  const digest = await sha256(path).catch(() => undefined)
  if (digest !== undefined) digests.set(path, digest)
}
parentPort?.postMessage(digests)

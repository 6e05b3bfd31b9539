import { runThread } from '../base/one-shot-thread.ts'

/** Files up to this size, all together, are hashed in this thread, bytes: that takes less than to start another one. */
const hashedHere = 2 ** 20

/**
 * The SHA-256 of files of `bytes` bytes, in hexadecimal, computed in a thread of their own, by path. Those are left out that
 * can't be read there, and all if they are small.
 */
export async function hashInThread(paths: readonly string[], bytes: number): Promise<Map<string, string>> {
  if (bytes <= hashedHere) return new Map()
  return runThread<Map<string, string>>(new URL('./hash-thread.js', import.meta.url), paths).catch(() => new Map())
}

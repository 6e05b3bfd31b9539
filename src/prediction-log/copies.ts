import { type FileHandle, open, rm, stat } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { ModelError } from '../base/errors.ts'

/**
 * The path of a copy while a file is changed. One process at a time writes it, whichever kind the file is and becomes:
 * two that convert it in opposite directions would each remove what the other has made.
 */
export const copyOf = (path: string): string => `${path.replace(/parquet$/, 'jsonl')}.kept`

const copyName = /^\d{8}T\d{9}Z-.+\.(?:jsonl|parquet)\.kept$/

/** Whether a file is a copy that a process writes, or has left behind when it was killed. */
export const isCopy = (name: string): boolean => copyName.test(name)

/** Age from which on nobody writes a copy any more, ms: its process was killed. */
const longestSilence = 60_000
/** How often a copy of another process is looked at, ms. */
const lookInterval = 50

/** Removes a copy that a process has left behind when it was killed; whether it did. */
export async function removeSilent(path: string, now = Date.now()): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined || Math.abs(now - found.mtimeMs) < longestSilence) return false
  await rm(path, { force: true })
  return true
}

/** Whether a copy is still its own: where this process stood still, another may have taken it for a left one. */
export async function isHeld(path: string, handle: FileHandle): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found?.ino === (await handle.stat()).ino
}

/** Begins a copy once no other process writes one. Rejects when `signal` is aborted. */
export async function waitForCopy(path: string, signal: AbortSignal): Promise<FileHandle> {
  for (;;) {
    try {
      return await openCopy(path)
    } catch (error) {
      if (!(error instanceof CopyInUse)) throw error
    }
    if (!(await removeSilent(path))) await wait(lookInterval, undefined, { signal })
  }
}

/** Another process writes a copy of this name. */
export class CopyInUse extends ModelError {}

/** Begins a copy. Rejects with a CopyInUse where another process has: each would put back records of the other. */
export async function openCopy(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o640)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new CopyInUse('INVALID_REQUEST', `${path} is there: another process changes it; try again in a minute`)
  }
}

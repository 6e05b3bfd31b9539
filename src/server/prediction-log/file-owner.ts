import { isAlive } from '../../base/process.ts'

/** Files of other machines, and of processes that live, are left to them for at least this long, ms. */
export const longestSilence = 600_000

/** A process of an instance, which looks at files of a log. */
export interface Looker {
  instance: string
  /** ms since 1970 */
  now: number
  /** ms; default: `longestSilence` */
  silence?: number
}

/** The name of an instance in names of files, where a hyphen ends it. */
export const instanceName = (instance: string) => instance.replace(/[^A-Za-z0-9._]/g, '_')

/**
 * Whether a file is for this process to handle: its own, that of a dead process of this machine, or one that nobody
 * has written for long.
 */
export function isLeftTo({ instance, now, silence = longestSilence }: Looker, path: string, written: number): boolean {
  const [, of, id] = /Z-(.+?)-(\d+)(?:-\d+)?\.jsonl(?:\.open)?$/.exec(path) ?? []
  // Another process may have its number by now.
  if (of === instanceName(instance) && (Number(id) === process.pid || !isAlive(Number(id)))) return true
  return now - written >= silence
}

import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs'

/**
 * A wall clock that can be set for programs started with its environment, through libfaketime. Their monotonic clock
 * stays true.
 */
export interface SettableClock {
  env: Record<string, string>
  /** Seconds by which the clock is ahead of the true time; negative: behind. */
  set(seconds: number): void
}

/** `file` is the clock's own. Undefined where libfaketime is not installed (Debian: faketime). */
export function createSettableClock(file: string): SettableClock | undefined {
  const library = findLibrary()
  if (library === undefined) return undefined
  const clock: SettableClock = {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      // Read with each question, so that all threads see a jump immediately.
      FAKETIME_NO_CACHE: '1',
      // Releases of libfaketime differ in the name.
      DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      // A clock that jumps doesn't change the times of files.
      NO_FAKE_STAT: '1',
    },
    set(seconds) {
      // No reader may find it half written.
      writeFileSync(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`)
      renameSync(`${file}.new`, file)
    },
  }
  clock.set(0)
  return clock
}

function findLibrary(): string | undefined {
  const triples = existsSync('/usr/lib') ? readdirSync('/usr/lib').filter((name) => /-linux-gnu/.test(name)) : []
  return triples.map((name) => `/usr/lib/${name}/faketime/libfaketimeMT.so.1`).find((path) => existsSync(path))
}

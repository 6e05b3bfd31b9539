import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Check } from 'typebox/schema'
import type { Clock } from '../../../base/clock.ts'
import { reasonOf } from '../../../base/errors.ts'
import { fileReason, sizeOfOrdinary } from '../../../base/files.ts'
import { ActivationTime, Schedule } from '../../../schemas/models-folder.ts'

/** Largest size of a version's schedule, bytes. */
const largestSchedule = 64 * 1024

/** A time further ahead, in days, is a mistake, of its writer or of this machine's clock. */
const mostDays = 30
const day = 86_400_000

const example = '{ "activate_at": "2026-12-01T09:00:00+01:00" }'

/**
 * When a version takes effect, by `<root>/<name>/<version>.json`; empty where there is no such file. It is looked for,
 * not taken from the folder's listing: the publisher writes it before the version, which that listing may have missed.
 */
export async function readSchedule(
  root: string,
  name: string,
  version: string,
  now: number,
): Promise<{ activateAt?: number; problem?: string }> {
  const file = `${version}.json`
  const path = join(root, name, file)
  try {
    if ((await sizeOfOrdinary(path)) > largestSchedule) throw new Error(`is larger than ${largestSchedule} bytes`)
    return { activateAt: parseSchedule(await readFile(path, 'utf8'), now) }
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return {}
    const reason = syscall === undefined ? reasonOf(error) : `can't be read: ${fileReason(error)}`
    return { problem: `${name}/${file} ${reason}` }
  }
}

/** Throws an Error with a message of one line. */
function parseSchedule(text: string, now: number): number {
  const parsed = parseJson(text)
  if (!Check(Schedule, parsed)) throw new Error(`must be an object such as ${example}`)
  const { activate_at: time } = parsed
  // JavaScript knows nothing of leap seconds.
  const at = Check(ActivationTime, time) ? Date.parse(time) : Number.NaN
  if (Number.isNaN(at))
    throw new Error(`has the activate_at ${JSON.stringify(time)}, which is no RFC 3339 time with an offset: ${example}`)
  if (at - now > mostDays * day)
    throw new Error(`has the activate_at ${JSON.stringify(time)}, more than ${mostDays} days ahead of this clock`)
  return at
}

/** Throws an Error with a message of one line. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    // V8 quotes the text, line ends included.
    throw new Error(`is not JSON: ${reasonOf(error).replaceAll(/\s+/g, ' ')}`, { cause: error })
  }
}

export interface ActivationTimerOptions {
  /** Milliseconds since 1970. */
  clock: Pick<Clock, 'now' | 'after'>
  /** A time has come. */
  onDue(): void
}

/** The wall clock may be set while a timer runs: it is asked at least this often, ms. */
const interval = 1000

/** Calls back when the first of several times by the wall clock has come. */
export class ActivationTimer {
  readonly #options: ActivationTimerOptions
  #at: number | undefined
  #cancel: (() => void) | undefined

  constructor(options: ActivationTimerOptions) {
    this.#options = options
  }

  /** Waits for the first of these times that is yet to come, instead of what it waited for. */
  set(times: readonly number[]): void {
    this.close()
    const now = this.#options.clock.now()
    const coming = times.filter((time) => time > now)
    if (coming.length === 0) return
    this.#at = Math.min(...coming)
    this.#wait(this.#at)
  }

  /** Calls back now if the time has come, though no timer has fired yet: so no request after that time is too early. */
  check(): void {
    if (this.#at === undefined || this.#options.clock.now() < this.#at) return
    this.close()
    this.#options.onDue()
  }

  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#at = undefined
  }

  #wait(at: number): void {
    const { clock } = this.#options
    this.#cancel = clock.after(Math.min(interval, at - clock.now()), () => {
      this.check()
      if (this.#at === at) this.#wait(at)
    })
  }
}

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Check } from 'typebox/schema'
import { ActivationTime, Schedule } from '../../schemas/schedule.ts'
import { reasonOf } from '../base/errors.ts'
import { fileReason, sizeOfOrdinary } from '../base/regular-file.ts'
import { parseJson } from './json-file.ts'

/** Of a version's schedule, bytes. */
const largestSchedule = 64 * 1024

/** A time further ahead, in days, is a mistake, of its writer or of this machine's clock. */
const mostDays = 30
const day = 86_400_000

const example = '{ "activate_at": "2026-12-01T09:00:00+01:00" }'

/**
 * When a version takes effect, by `<root>/<name>/<version>.json`; empty where there is no such file. It is looked for, not taken
 * from the folder's listing: the publisher writes it before the version, which that listing may have missed.
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
  // Of leap seconds, JavaScript knows nothing.
  const at = Check(ActivationTime, time) ? Date.parse(time) : Number.NaN
  if (Number.isNaN(at))
    throw new Error(`has the activate_at ${JSON.stringify(time)}, which is no RFC 3339 time with an offset: ${example}`)
  if (at - now > mostDays * day)
    throw new Error(`has the activate_at ${JSON.stringify(time)}, more than ${mostDays} days ahead of this clock`)
  return at
}

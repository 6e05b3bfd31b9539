import type { IncomingHttpHeaders } from 'node:http'
import { ModelError } from '../../base/errors.ts'

/** Milliseconds from arrival: what the body asks for, else the header, else the configured default. */
export function deadlineOf(asked: number | undefined, headers: IncomingHttpHeaders, fallback: number): number {
  if (asked !== undefined) return asked
  const header = headers['x-deadline-ms']
  if (header === undefined) return fallback
  const value = headerDeadline(header)
  if (value !== undefined) return value
  const message = 'The header x-deadline-ms must be a number of milliseconds, above 0 and at most 600000'
  throw new ModelError('INVALID_REQUEST', message, { problems: [{ path: '', message }] })
}

/** The header's deadline, ms; undefined where it is none. */
export function headerDeadline(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string' || header.trim() === '') return undefined
  const value = Number(header)
  return value > 0 && value <= 600_000 ? value : undefined
}

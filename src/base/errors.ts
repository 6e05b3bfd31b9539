import type { ProblemItem } from '../schemas/problem.ts'
import { missingPackage } from './optional-packages.ts'

/**
 * The closed set of codes with which a model refuses or fails.
 *
 * `model/` throws no other errors on purpose. Only `server/errors/` maps codes to HTTP statuses; `docs/errors.md` lists
 * them.
 */
export const modelErrorCodes = [
  /** Values of the request do not fit the model; `problems` lists them. */
  'INVALID_REQUEST',
  'MODEL_NOT_FOUND',
  'VERSION_NOT_FOUND',
  'TOO_MANY_ROWS',
  /** The queue is full; `retryAfterSeconds` is the predicted time until it has drained. */
  'QUEUE_FULL',
  /** Accepted, but not answered in time; `stage` says where the request was. */
  'DEADLINE_EXCEEDED',
  /** The caller cancelled the request. */
  'CANCELLED',
  /** The engine threw, or its worker died, while it computed this request. */
  'MODEL_FAILED',
  /** No version of the model is loaded (yet). */
  'NOT_READY',
  /** The model or the process is shutting down and accepts no new requests. */
  'DRAINING',
  /** A bundle on disk is malformed, incomplete, damaged or contradictory. */
  'INVALID_BUNDLE',
  /** The engine cannot run a part of the graph; the message names the layer or node. */
  'UNSUPPORTED_GRAPH',
  /** A version refuses requests, or lacks tasks, that the version before it answers, and is not to take over. */
  'INCOMPATIBLE',
  /** The requested engine does not work on this machine. */
  'ENGINE_UNAVAILABLE',
] as const

export type ModelErrorCode = (typeof modelErrorCodes)[number]

/** One wrong value; `path` is a JSON pointer (RFC 6901) to it. */
export type Violation = ProblemItem

/** Most different problems that a message lists. */
const mostListed = 10

/**
 * Problems as texts, `<path> <message>`. What items of a list have in common is said once, with their number; beyond
 * `most` different ones, the rest is counted.
 */
export function listProblems(problems: readonly Violation[], most = mostListed): string[] {
  const counts = new Map<string, Violation & { others: number }>()
  for (const { path, message } of problems) {
    const key = `${path.replaceAll(/\/\d+/g, '/*')} ${message}`
    const same = counts.get(key)
    if (same) same.others++
    else counts.set(key, { path, message, others: 0 })
  }
  const texts = [...counts.values()].slice(0, most).map(({ path, message, others }) => {
    const more = others === 0 ? '' : ` (and ${others} more ${others === 1 ? 'place' : 'places'})`
    return `${path === '' ? '' : `${path} `}${message}${more}`
  })
  return counts.size > most ? [...texts, `and ${counts.size - most} more problems`] : texts
}

export interface ModelErrorDetails {
  problems?: Violation[]
  retryAfterSeconds?: number
  stage?: 'queue' | 'compute'
  /** The cause may be gone on the next try; default: whether `cause` is an I/O error. */
  transient?: boolean
  /** Most tries after the first where the cause may be gone; default: no limit. */
  mostRetries?: number
  /** The model that was asked because the request names none. */
  defaultModel?: string | undefined
  cause?: unknown
}

export class ModelError extends Error {
  readonly code: ModelErrorCode
  readonly problems: Violation[] | undefined
  readonly retryAfterSeconds: number | undefined
  readonly stage: 'queue' | 'compute' | undefined
  readonly transient: boolean
  readonly mostRetries: number
  readonly defaultModel: string | undefined

  constructor(code: ModelErrorCode, message: string, details: ModelErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'ModelError'
    this.code = code
    this.problems = details.problems
    this.retryAfterSeconds = details.retryAfterSeconds
    this.stage = details.stage
    this.transient = details.transient ?? isTransient(details.cause)
    this.mostRetries = details.mostRetries ?? Number.POSITIVE_INFINITY
    this.defaultModel = details.defaultModel
  }
}

/**
 * Whether an error comes from the file system or another system call (ENOENT, EIO, EMFILE, …), which may succeed on the
 * next try.
 */
export function isTransient(error: unknown): boolean {
  if (error instanceof ModelError) return error.transient
  const { syscall, code } = (error ?? {}) as NodeJS.ErrnoException
  return typeof syscall === 'string' && typeof code === 'string'
}

/** Whether it comes from a file or folder that isn't there; not from one that can't be read. */
export function isMissing(error: unknown): boolean {
  const { code } = ((error instanceof ModelError ? error.cause : error) ?? {}) as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** Anything thrown, as an Error. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(reasonOf(error))
}

/** The text of anything thrown, for messages that wrap it. */
export function reasonOf(error: unknown): string {
  return missingPackage(error) ?? (error instanceof Error ? error.message : String(error))
}

import type { FastifyError } from 'fastify'
import { ModelError, type ModelErrorCode } from '../../base/errors.ts'
import { shortName } from '../../base/names.ts'
import type { ProblemCode, ProblemDetails, ProblemItem } from '../../schemas/problem.ts'

/** The meaning of each code on the wire. The one place where a code becomes an HTTP status. */
export const problemTable: Record<ProblemCode, { status: number; title: string }> = {
  INVALID_REQUEST: { status: 400, title: 'The request is invalid' },
  UNAUTHORIZED: { status: 401, title: 'A key is needed' },
  FORBIDDEN: { status: 403, title: 'The request is not allowed here' },
  NOT_FOUND: { status: 404, title: 'There is nothing at this path' },
  MODEL_NOT_FOUND: { status: 404, title: 'There is no such model' },
  VERSION_NOT_FOUND: { status: 404, title: 'The model has no such version' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'The path does not take this method' },
  TOO_MANY_ROWS: { status: 413, title: 'The request has too many rows' },
  BODY_TOO_LARGE: { status: 413, title: 'The body is too large' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, title: 'The body has a type or encoding that is not understood' },
  QUEUE_FULL: { status: 429, title: 'The server is overloaded' },
  RATE_LIMITED: { status: 429, title: 'The key has used up its limit' },
  MODEL_FAILED: { status: 500, title: 'The model failed' },
  INTERNAL: { status: 500, title: 'Something unforeseen happened' },
  NOT_READY: { status: 503, title: 'The model is not ready' },
  DRAINING: { status: 503, title: 'The server is shutting down' },
  DEADLINE_EXCEEDED: { status: 504, title: 'The answer would be too late' },
}

/** Model codes that mean something else on the wire, or that no request should meet. */
const fromModel: Partial<Record<ModelErrorCode, ProblemCode>> = {
  INVALID_BUNDLE: 'INTERNAL',
  UNSUPPORTED_GRAPH: 'INTERNAL',
  INCOMPATIBLE: 'INTERNAL',
  ENGINE_UNAVAILABLE: 'INTERNAL',
  CANCELLED: 'INTERNAL',
}

const fromFastify: Record<string, ProblemCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'UNSUPPORTED_MEDIA_TYPE',
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_CP_ERR_INVALID_CONTENT_ENCODING: 'UNSUPPORTED_MEDIA_TYPE',
}

export interface ProblemAnswer {
  body: ProblemDetails
  /** Whole seconds. */
  retryAfterSeconds?: number | undefined
}

/** The header takes whole seconds, and a client that comes back immediately is refused again. */
export const retryAfter = (seconds: number): number => Math.max(1, Math.ceil(seconds))

/** Problem details of anything thrown. Unforeseen errors reveal nothing internal to clients. */
export function toProblem(error: unknown, requestId: string): ProblemAnswer {
  if (error instanceof ModelError) {
    const code = fromModel[error.code] ?? (error.code as ProblemCode)
    const { stage, problems, defaultModel: model } = error
    return {
      body: problemDetails(code, code === 'INTERNAL' ? internal : error.message, requestId, {
        ...(stage ? { stage } : {}),
        ...(model ? { model } : {}),
        ...(problems ? { errors: problems } : {}),
      }),
      retryAfterSeconds: retryAfterOf(error),
    }
  }
  const { code = '', statusCode = 500, message } = (error ?? {}) as FastifyError
  const mapped = fromFastify[code] ?? (statusCode >= 400 && statusCode < 500 ? 'INVALID_REQUEST' : 'INTERNAL')
  const detail =
    mapped === 'INTERNAL' ? internal : mapped === 'UNSUPPORTED_MEDIA_TYPE' ? (unsupported[code] ?? message) : message
  const errors: ProblemItem[] | undefined = mapped === 'INVALID_REQUEST' ? [{ path: '', message: detail }] : undefined
  return { body: problemDetails(mapped, detail, requestId, errors ? { errors } : {}) }
}

/** How a request ended that this was thrown for: `cancelled`, or the code that its client gets, in lower case. */
export function outcomeOf(error: unknown): string {
  if (error instanceof ModelError && error.code === 'CANCELLED') return 'cancelled'
  return toProblem(error, '').body.code.toLowerCase()
}

function retryAfterOf({ code, retryAfterSeconds }: ModelError): number | undefined {
  const seconds = retryAfterSeconds ?? (code === 'QUEUE_FULL' ? 1 : undefined)
  return seconds === undefined ? undefined : retryAfter(seconds)
}

const unsupported: Record<string, string> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'A body is JSON, with Content-Type: application/json',
  FST_CP_ERR_INVALID_CONTENT_ENCODING:
    'A body that is compressed has Content-Encoding: gzip, deflate or br; the encoding of this one is not known here',
}
const internal = 'The server met an error that it did not foresee; its log has the details under this request_id'

export function problemDetails(
  code: ProblemCode,
  detail: string,
  requestId: string,
  more: Pick<ProblemDetails, 'stage' | 'model' | 'errors'> = {},
): ProblemDetails {
  const { status, title } = problemTable[code]
  const { errors } = more
  const [first] = errors ?? []
  const short = errors && {
    errors: errors.map(({ path, message }) => ({ path: shortPath(path), message: shortText(message) })),
  }
  const place = first !== undefined && detail.startsWith(first.path) ? first.path.length : 0
  const shortDetail = shortText(shortPath(detail.slice(0, place)) + detail.slice(place)) + askedByDefault(more)
  const type = `urn:multigate:problem:${code.toLowerCase().replaceAll('_', '-')}`
  return { type, title, status, code, detail: shortDetail, request_id: requestId, ...more, ...short }
}

/** The end of a text about a request that names no model. */
function askedByDefault({ model }: Pick<ProblemDetails, 'model'>): string {
  return model === undefined ? '' : `; the request names no model, so ${model} was asked`
}

/** A place whose names are cut: a client's key may be megabytes long. */
function shortPath(path: string): string {
  return path.split('/').map(shortName).join('/')
}

/** Longer than any message about names of usual length. */
const longestText = 4096

function shortText(text: string): string {
  return text.length > longestText ? `${text.slice(0, longestText)}…` : text
}

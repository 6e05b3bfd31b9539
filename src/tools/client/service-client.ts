import { readFile } from 'node:fs/promises'
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { excerptOf, splitCredentials } from '../../base/address-credentials.ts'
import { listProblems, ModelError, reasonOf, type Violation } from '../../base/errors.ts'
import { fileProblem } from '../../base/files.ts'
import { isObject } from '../../schemas/json.ts'

/** How to reach a running service. Files are paths. */
export interface ServiceAddress {
  /** A user and password in it are sent, unless there is a key. */
  url: string
  /** File of an API key. */
  keyFile?: string | undefined
  /** File of certificate authorities (PEM); default: Node's. */
  ca?: string | undefined
  /** Files of a client certificate and its key (PEM), for mutual TLS. */
  clientCert?: string | undefined
  clientKey?: string | undefined
}

/**
 * Resolves with the JSON of an answer. Rejects with MODEL_FAILED, which says what the service answers instead and lists
 * its problems.
 */
export type AskService = (method: 'GET' | 'POST', path: string, body?: object) => Promise<unknown>

/** How long, and how often, a service is asked. */
export interface AskOptions {
  /** Longest time for an answer, ms; default: half a minute. */
  patienceMs?: number
  /** Retries after 429 and 503, each after the time that the service asks for, but no longer than `patienceMs`. */
  mostRetries?: number
}

/** Limit of an answer, bytes: 500 rows with as many tasks and gates as a model has are less. */
const longestAnswer = 64 * 1024 * 1024

/** The address without credentials, and what requests need: their headers, and the options of TLS. */
interface ServiceAccess {
  base: URL
  headers: { authorization?: string }
  tls: { ca?: string; cert?: string; key?: string }
}

/** Rejects with INVALID_REQUEST if a file can't be read. */
async function serviceAccess(address: ServiceAddress): Promise<ServiceAccess> {
  const [key, ca, cert, certKey] = await Promise.all(
    [address.keyFile, address.ca, address.clientCert, address.clientKey].map(readOptional),
  )
  const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(certKey && { key: certKey }) }
  const { url: base, authorization: basic } = splitCredentials(new URL(address.url))
  const authorization = key ? `Bearer ${key.trim()}` : basic
  return { base: new URL(base), headers: authorization === undefined ? {} : { authorization }, tls }
}

/** Rejects with INVALID_REQUEST if a file can't be read. */
export async function connectService(
  address: ServiceAddress,
  { patienceMs = 30_000, mostRetries = 20 }: AskOptions = {},
): Promise<AskService> {
  const { base, headers: credentials, tls } = await serviceAccess(address)
  return async (method, path, body) => {
    const url = new URL(path, base)
    const headers = {
      accept: 'application/json',
      // Golden rows are checked, not the time that they take.
      'x-deadline-ms': String(patienceMs),
      ...(body && { 'content-type': 'application/json' }),
      ...credentials,
    }
    const text = body && JSON.stringify(body)
    const request = () => send(url, { method, headers, signal: AbortSignal.timeout(patienceMs), ...tls }, text)
    let { status, answer, retryAfter } = await request()
    for (let retry = 0; (status === 429 || status === 503) && retry < mostRetries; retry++) {
      await sleep(Math.min(1000 * (retryAfter || 0.1), patienceMs))
      ;({ status, answer, retryAfter } = await request())
    }
    if (status !== 200) {
      const { detail, problems } = answeredProblem(answer)
      throw new ModelError('MODEL_FAILED', `${method} ${url} answers ${status}: ${detail}`, { problems })
    }
    try {
      return JSON.parse(answer)
    } catch {
      throw new ModelError('MODEL_FAILED', `${method} ${url} does not answer JSON: ${excerptOf(answer, 100)}`)
    }
  }
}

interface ServiceAnswer {
  status: number
  answer: string
  /** Seconds; 0 if the service does not say. */
  retryAfter: number
}

function send(url: URL, options: object, body: string | undefined): Promise<ServiceAnswer> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    const failed = (cause: Error) =>
      reject(new ModelError('MODEL_FAILED', `${url} can't be reached: ${reasonOf(cause)}`, { cause }))
    const sent = request(url, { ...options, agent: false })
    sent.once('error', failed)
    sent.once('response', (response) => {
      const retryAfter = Number(response.headers['retry-after']) || 0
      readAnswer(response).then((answer) => resolve({ status: response.statusCode ?? 0, answer, retryAfter }), failed)
    })
    sent.end(body)
  })
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > longestAnswer) throw new Error(`its answer is larger than ${longestAnswer} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function readOptional(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  return readFile(path, 'utf8').catch((cause) => {
    throw new ModelError('INVALID_REQUEST', `${path} ${fileProblem(cause)}`, { cause })
  })
}

/** Most problems that a message lists. */
const mostListed = 5

/** The problem that an answer states as problem details (RFC 9457), or else its text. */
function answeredProblem(answer: string): { detail: string; problems: Violation[] } {
  const plain = { detail: excerptOf(answer, 500), problems: [] }
  let body: unknown
  try {
    body = JSON.parse(answer)
  } catch {
    return plain
  }
  if (!isObject(body)) return plain
  const said = body.detail ?? body.title
  const problems = (Array.isArray(body.errors) ? body.errors : []).filter(isViolation)
  if (typeof said !== 'string') return plain
  return { detail: [said, ...listProblems(problems, mostListed)].join('; '), problems }
}

function isViolation(value: unknown): value is Violation {
  return isObject(value) && typeof value.path === 'string' && typeof value.message === 'string'
}

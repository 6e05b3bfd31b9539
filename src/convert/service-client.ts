import { readFile } from 'node:fs/promises'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { text } from 'node:stream/consumers'
import { ModelError, reasonOf } from '../model/base/errors.ts'
import { fileProblem } from '../model/base/regular-file.ts'

/** How to reach a running service. Files are paths. */
export interface ServiceAddress {
  url: string
  /** File of an API key. */
  keyFile?: string | undefined
  /** File of certificate authorities (PEM); default: Node's. */
  ca?: string | undefined
  /** Files of a client certificate and its key (PEM), for mutual TLS. */
  clientCert?: string | undefined
  clientKey?: string | undefined
}

/** Resolves with the JSON of an answer. Rejects with MODEL_FAILED, which says what the service answers instead. */
export type AskService = (method: 'GET' | 'POST', path: string, body?: object) => Promise<unknown>

/** Longest time for an answer, ms. */
const patience = 30_000

/** Rejects with INVALID_REQUEST if a file can't be read. */
export async function connectService(address: ServiceAddress): Promise<AskService> {
  const [key, ca, cert, certKey] = await Promise.all(
    [address.keyFile, address.ca, address.clientCert, address.clientKey].map(readOptional),
  )
  const tls = { ...(ca && { ca }), ...(cert && { cert }), ...(certKey && { key: certKey }) }
  return async (method, path, body) => {
    const url = new URL(path, address.url)
    const headers = {
      accept: 'application/json',
      // Golden rows are checked, not the time that they take.
      'x-deadline-ms': String(patience),
      ...(body && { 'content-type': 'application/json' }),
      ...(key && { authorization: `Bearer ${key.trim()}` }),
    }
    const { status, answer } = await send(url, { method, headers, ...tls }, body && JSON.stringify(body))
    if (status !== 200)
      throw new ModelError('MODEL_FAILED', `${method} ${url} answers ${status}: ${answer.slice(0, 500)}`)
    try {
      return JSON.parse(answer)
    } catch {
      throw new ModelError('MODEL_FAILED', `${method} ${url} does not answer JSON: ${answer.slice(0, 100)}`)
    }
  }
}

function send(url: URL, options: object, body: string | undefined): Promise<{ status: number; answer: string }> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    const failed = (cause: Error) =>
      reject(new ModelError('MODEL_FAILED', `${url} can't be reached: ${reasonOf(cause)}`, { cause }))
    const sent = request(url, { ...options, signal: AbortSignal.timeout(patience), agent: false })
    sent.once('error', failed)
    sent.once('response', (response) => {
      text(response).then((answer) => resolve({ status: response.statusCode ?? 0, answer }), failed)
    })
    sent.end(body)
  })
}

async function readOptional(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  return readFile(path, 'utf8').catch((cause) => {
    throw new ModelError('INVALID_REQUEST', `${path} ${fileProblem(cause)}`, { cause })
  })
}

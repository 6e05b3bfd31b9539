import { Agent as HttpAgent, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { hideCredentials } from '../../base/address-credentials.ts'
import { systemClock } from '../../base/clock.ts'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { readRecords } from '../../prediction-log/log-records.ts'
import type { LoggedCandidate, LogRecord } from '../../schemas/prediction-log.ts'
import { type ServiceAddress, serviceAccess } from '../client/service-client.ts'
import { openLog } from '../data/open-log.ts'
import { quantile, type Reply, runOpenLoop, type Transport } from '../load/open-loop.ts'

/** How a service answers the recorded requests at their pace. */
export interface PaceReport {
  url: string
  /** Times the recorded pace. */
  pace: number
  /** Requests per second, and how many were sent. */
  rate: number
  sent: number
  answered: number
  rejected: number
  failed: number
  /** Reasons of failures. */
  reasons: string[]
  /** Latency of answers, ms: from the scheduled time; in the log from the time at which the body had arrived. */
  p50_ms: number
  p99_ms: number
  recorded_p50_ms: number
  recorded_p99_ms: number
  /** How much later than scheduled requests were sent, because of this process, ms. */
  late_p99_ms: number
}

export interface PaceOptions {
  /** The log, as `openLog` has it. */
  log: string
  model: string
  /** The version that is asked, and those whose requests are sent; undefined: all. */
  version: string
  versions: readonly string[] | undefined
  service: ServiceAddress
  pace: number
  /** Most requests, of which the first in time are sent. */
  most: number
  signal: AbortSignal
}

/** Most bytes of bodies, most connections, and the longest wait for the last answers, ms. */
const mostBytes = 512 * 2 ** 20
const mostConnections = 256
const graceMs = 10_000

interface Recorded {
  time: number
  body: string
  ms: number
}

/**
 * Sends the requests of a log to a service at the pace of their arrival, as their clients sent them, whatever answers
 * take. Rejects with INVALID_REQUEST where the log has none.
 */
export async function replayAtPace(options: PaceOptions): Promise<PaceReport> {
  const { pace, service, signal } = options
  const requests = (await readRequests(options)).sort((a, b) => a.time - b.time)
  const [first, last] = [requests[0], requests.at(-1)]
  if (first === undefined || last === undefined)
    throw new ModelError('INVALID_REQUEST', `the log has no answered requests of ${options.model} to send`)
  const schedule = Float64Array.from(requests, ({ time }) => (time - first.time) / pace)
  const transport = await openTransport(
    service,
    requests.map(({ body }) => body),
  )
  const stop = () => transport.close()
  signal.addEventListener('abort', stop, { once: true })
  try {
    const clock = systemClock
    const deadlineMs = Number.POSITIVE_INFINITY
    const result = await runOpenLoop({ schedule, transport, clock, deadlineMs, graceMs })
    signal.throwIfAborted()
    const seconds = schedule.at(-1)! / 1000
    const recorded = requests.map(({ ms }) => ms)
    return {
      url: hideCredentials(service.url),
      pace,
      rate: seconds > 0 ? requests.length / seconds : Number.NaN,
      sent: requests.length,
      answered: result.good + result.late,
      rejected: result.rejected,
      failed: result.failed + result.noConnection,
      reasons: result.noConnection > 0 ? [...result.reasons, 'all connections were busy'] : result.reasons,
      ...{ p50_ms: result.latency.p50, p99_ms: result.latency.p99 },
      ...{ recorded_p50_ms: quantile(recorded, 0.5), recorded_p99_ms: quantile(recorded, 0.99) },
      late_p99_ms: result.lateness.p99,
    }
  } finally {
    signal.removeEventListener('abort', stop)
    transport.close()
  }
}

async function readRequests({ log, model, version, versions, most, signal }: PaceOptions): Promise<Recorded[]> {
  const requests: Recorded[] = []
  let bytes = 0
  for (const file of (await openLog(log)).files)
    for await (const { record } of readRecords(file, signal)) {
      signal.throwIfAborted()
      if (record.model !== model || record.outcome !== 'ok' || record.unread !== undefined) continue
      if (versions && !versions.includes(record.version ?? '')) continue
      const body = JSON.stringify(bodyOf(record, model, version))
      bytes += body.length
      if (requests.length >= most || bytes > mostBytes) return requests
      requests.push({ time: Date.parse(record.time), body, ms: record.ms?.total ?? Number.NaN })
    }
  return requests
}

/** The request as its client sent it, to a certain version, and not counted as traffic. */
function bodyOf({ context, candidates = [], deadline_ms }: LogRecord, model: string, version: string): object {
  return {
    ...{ model, version },
    ...(context && { context }),
    candidates: candidates.map(candidateOf),
    options: { observe: false, ...(deadline_ms !== undefined && { deadline_ms }) },
  }
}

function candidateOf({ id, bid, fields, fetched, unknown_keys }: LoggedCandidate): object | string | number {
  const isKey = fields === undefined && bid === undefined && (fetched ?? unknown_keys) !== undefined
  if (isKey) return id ?? {}
  return { ...fields, ...(id !== undefined && { id }), ...(bid !== undefined && { bid }) }
}

/** Connections that stay open, within TLS where the service has it. */
async function openTransport(
  service: ServiceAddress,
  bodies: readonly string[],
): Promise<Transport & { close(): void }> {
  const { base, headers, tls } = await serviceAccess(service)
  const url = new URL('/predict', base)
  const isSecure = url.protocol === 'https:'
  const options = { keepAlive: true, maxSockets: mostConnections, ...tls }
  const agent = isSecure ? new HttpsAgent(options) : new HttpAgent(options)
  const request = isSecure ? requestHttps : requestHttp
  let open = 0
  return {
    send(index, done) {
      if (open >= mostConnections) return false
      open++
      let isSettled = false
      const settle = (reply: Reply) => {
        if (isSettled) return
        isSettled = true
        open--
        done(reply)
      }
      const body = bodies[index]!
      const sent = request(url, {
        method: 'POST',
        agent,
        headers: { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      })
      sent.once('error', (error) => settle({ error: reasonOf(error) }))
      sent.once('response', (response) => {
        response.once('error', (error) => settle({ error: reasonOf(error) }))
        response.once('end', () => settle({ status: response.statusCode ?? 0 })).resume()
      })
      sent.end(body)
      return true
    },
    close: () => agent.destroy(),
  }
}

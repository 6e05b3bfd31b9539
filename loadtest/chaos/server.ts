import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { serverArgv } from '../../src/app/v8-flags.ts'
import { type ServingGroup, startGroup } from '../children.ts'
import { main } from '../entries.ts'
import { freePort } from '../free-port.ts'
import type { Certificates } from './certificates.ts'
import { childrenOf } from './processes.ts'

/** Keys that clients send: those who ask for predictions, and those who mean harm. */
export const keys = { backend: 'key-of-the-backend', hostile: 'key-of-hostile-clients' }

export const processCount = 2

/** Its leader is the primary process. */
export interface ChaosServer extends ServingGroup, AdminPort {
  port: number
  /** Ids of the processes that serve. */
  serving(): number[]
}

interface AdminPort {
  /**
   * Asks the administration port over a connection of its own. Rejects where no answer comes: with a code where the
   * connection broke, without one after `timeout`.
   */
  ask(path: string, options?: AskOptions): Promise<AdminAnswer>
  /** A connection to the administration port. */
  dial(): TLSSocket
}

export interface ChaosServerOptions {
  models: string
  /** Folder for keys. */
  folder: string
  /** Folder of compiled plans. */
  cache: string
  /** File of the log. */
  log: string
  certificates: Certificates
  /** More variables, such as those of a settable clock. */
  env: Record<string, string>
}

/** Longest time until all processes are ready, ms. */
const patience = 60_000

/**
 * Starts the real server in several processes, over TLS, with keys and an administration port; resolves when all are
 * ready.
 */
export async function startChaosServer(options: ChaosServerOptions): Promise<ChaosServer> {
  const { models, folder, cache, log, certificates, env } = options
  const keyFile = join(folder, 'keys.json')
  await writeFile(keyFile, JSON.stringify({ keys: Object.entries(keys).map(entryOf) }), { mode: 0o600 })
  const [port, adminPort] = [await freePort(), await freePort()]
  const settings = {
    MULTIGATE_PORT: port,
    MULTIGATE_ADMIN_PORT: adminPort,
    MULTIGATE_MODELS: models,
    MULTIGATE_DEFAULT_MODEL: 'ads-funnel',
    MULTIGATE_POLL_SECONDS: 1,
    MULTIGATE_PROCESSES: processCount,
    MULTIGATE_WORKERS: 1,
    MULTIGATE_KEYS: keyFile,
    MULTIGATE_TLS_CERT: certificates.certificate,
    MULTIGATE_TLS_KEY: certificates.key,
    MULTIGATE_CACHE: cache,
    MULTIGATE_MAX_PENDING_BYTES: 32 * 2 ** 20,
    MULTIGATE_CANDIDATE_CACHE_BYTES: 16 * 2 ** 20,
    MULTIGATE_LOG_REQUESTS: true,
    MULTIGATE_LOG_SAMPLE: 0.1,
    MULTIGATE_SLOW_REQUESTS: 20,
    MULTIGATE_SLOW_BODIES: true,
  }
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('MULTIGATE_'))
  const set = Object.entries(settings).map(([name, value]) => [name, String(value)])
  const admin = adminOf(adminPort, certificates)
  const group = await startGroup({
    command: process.execPath,
    args: [...serverArgv([]), main],
    env: { ...Object.fromEntries([...own, ...set]), MALLOC_ARENA_MAX: '2', ...env },
    ...{ folder, patience, log },
    ready: async () => (await admin.ask('/readyz')).status === 200,
  })
  return { ...group, ...admin, port, serving: () => childrenOf(group.leader) }
}

export interface AdminAnswer {
  status: number
  /** The server's wall clock, ms since 1970. */
  date: number
  text: string
}

export interface AskOptions {
  method?: 'GET' | 'POST'
  /** Longest time without a sign of the server, ms. */
  timeout?: number
  /** JSON. */
  body?: string
  /** The part of an endless answer that is enough. */
  until?: RegExp
}

function adminOf(port: number, { authority: ca }: Certificates): AdminPort {
  const address = { host: '127.0.0.1', port, ca }
  return {
    ask: (path, { method = 'GET', timeout = 10_000, body = '', until } = {}) =>
      new Promise((resolve, reject) => {
        const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
        const sent = request({ ...address, path, method, agent: false, timeout, headers })
        sent.once('timeout', () => sent.destroy(new Error(`no answer to ${path} after ${timeout} ms`)))
        sent.on('error', reject)
        sent.once('response', (response) => {
          let text = ''
          const finish = () => {
            resolve({ status: response.statusCode ?? 0, date: Date.parse(response.headers.date ?? ''), text })
            sent.destroy()
          }
          response.setEncoding('utf8').on('data', (part) => {
            text += part
            if (until?.test(text)) finish()
          })
          response.on('error', reject).once('end', finish)
        })
        sent.end(body)
      }),
    dial: () => connect({ ...address, servername: 'localhost' }),
  }
}

function entryOf([id, key]: [string, string]) {
  return { id, sha256: createHash('sha256').update(key).digest('hex'), scopes: ['predict'] }
}

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { serverArgv } from '../../src/app/v8-flags.ts'
import { main } from '../entries.ts'
import { freePort } from '../free-port.ts'
import type { Certificates } from './certificates.ts'
import { childrenOf } from './processes.ts'

/** Keys that clients send: those who ask for predictions, and those who mean harm. */
export const keys = { backend: 'key-of-the-backend', hostile: 'key-of-hostile-clients' }

export const processCount = 2

export interface ChaosServer {
  /** Id of the primary process. */
  pid: number
  port: number
  adminPort: number
  /** Ids of the processes that serve. */
  serving(): number[]
  /** Exit code, or the signal that ended the primary process. */
  ended: Promise<number | string>
  /** All that it has written. */
  log(): string
  /** Ends all its processes immediately. */
  kill(): void
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

/** Longest time until all processes are ready, s. */
const patience = 60

const groups = new Set<number>()
process.on('exit', () => {
  for (const group of groups) killGroup(group)
})

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
  const output = openSync(log, 'a')
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('MULTIGATE_'))
  const set = Object.entries(settings).map(([name, value]) => [name, String(value)])
  const child = spawn(process.execPath, [...serverArgv([]), main], {
    env: { ...Object.fromEntries([...own, ...set]), MALLOC_ARENA_MAX: '2', ...env },
    detached: true,
    stdio: ['ignore', output, output],
  })
  closeSync(output)
  await once(child, 'spawn')
  const pid = child.pid!
  groups.add(pid)
  let over: number | string | undefined
  const ended = once(child, 'exit').then(([code, signal]): number | string => {
    over = code ?? signal
    return over!
  })
  const server: ChaosServer = {
    pid,
    port,
    adminPort,
    serving: () => childrenOf(pid),
    ended,
    log: () => readFileSync(log, 'utf8'),
    kill: () => killGroup(pid),
  }
  const deadline = Date.now() + patience * 1000
  for (;;) {
    const answer = await askAdmin(server, certificates, '/readyz').catch(() => undefined)
    if (answer?.status === 200) return server
    if (over !== undefined || Date.now() > deadline) {
      server.kill()
      const what = over === undefined ? `was not ready after ${patience} s` : `ended with ${over}`
      throw new Error(`the server ${what}:\n${server.log().slice(-3000)}`)
    }
    await sleep(100)
  }
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
}

/**
 * Asks the administration port over a connection of its own. Rejects where no answer comes: with a code where the
 * connection broke, without one after `timeout`.
 */
export function askAdmin(
  { adminPort }: Pick<ChaosServer, 'adminPort'>,
  { authority }: Pick<Certificates, 'authority'>,
  path: string,
  { method = 'GET', timeout = 10_000, body = '' }: AskOptions = {},
): Promise<AdminAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request({
      ...{ host: '127.0.0.1', port: adminPort, path, method, ca: authority, agent: false, timeout },
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    })
    sent.once('timeout', () => sent.destroy(new Error(`no answer to ${path} after ${timeout} ms`)))
    sent.once('error', reject)
    sent.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => (text += part))
      response.once('error', reject)
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, date: Date.parse(response.headers.date ?? ''), text }),
      )
    })
    sent.end(body)
  })
}

/** A connection to the administration port. */
export function dialAdmin(
  { adminPort }: Pick<ChaosServer, 'adminPort'>,
  { authority }: Pick<Certificates, 'authority'>,
) {
  return connect({ host: '127.0.0.1', port: adminPort, ca: authority, servername: 'localhost' })
}

function entryOf([id, key]: [string, string]) {
  return { id, sha256: createHash('sha256').update(key).digest('hex'), scopes: ['predict'] }
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch {
    // It has ended.
  }
}

import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Logger } from 'pino'
import type { Configuration } from '../../schemas/configuration.ts'
import { closeListener, surviveAcceptErrors } from '../../server/overload/connections.ts'
import { createLogger } from '../logging.ts'
import { drained } from '../shutdown.ts'
import type { Connection } from './distributor.ts'
import { Group } from './group.ts'

export interface Primary {
  log: Logger
  /** Stops all processes without losing an accepted request. Idempotent. */
  close(): Promise<void>
  /** Ends every process immediately. */
  kill(): void
}

/**
 * Listens, and starts the processes that serve what it accepts; it loads no model and answers nothing itself.
 *
 * Connections are accepted here, and not by node:cluster, whose last ones are reset when it stops, and which keeps
 * open, but unanswered, what it was giving to a process that died. Resolves when the first process takes connections;
 * throws where the port can't be listened on or the process can't start. `onStop` is called for a stop that a process's
 * signal brought about.
 */
export async function startPrimary(
  configuration: Configuration,
  onStop: (closing: Promise<void>) => void,
): Promise<Primary> {
  const log = createLogger(configuration)
  const { MULTIGATE_ADMIN_PORT: adminPort, MULTIGATE_HOST: host, MULTIGATE_ADMIN_HOST: adminHost } = configuration
  const server = await listenAt(configuration.MULTIGATE_PORT, host, configuration, log)
  const admin = adminPort === 0 ? undefined : await listenAt(adminPort, adminHost, configuration, log)
  const scheme = configuration.MULTIGATE_TLS_CERT === '' ? 'http' : 'https'
  const url = urlOf(server, scheme)
  const adminUrl = admin && urlOf(admin, scheme)
  log.info({ processes: configuration.MULTIGATE_PROCESSES }, `listening at ${url}`)
  if (adminUrl !== undefined) log.info(`administration at ${adminUrl}`)

  const group = new Group({
    configuration,
    url,
    adminUrl,
    log,
    onStop: () => {
      if (closing === undefined) onStop(close())
    },
  })
  const distribute = (port: Connection['port']) => (socket: Socket) => {
    socket.on('error', () => undefined)
    group.distributor.distribute({ socket, port })
  }
  server.on('connection', distribute('main'))
  admin?.on('connection', distribute('admin'))

  let closing: Promise<void> | undefined
  function close(): Promise<void> {
    closing ??= stop()
    return closing
  }
  async function stop(): Promise<void> {
    log.info({ drain_delay_ms: configuration.MULTIGATE_DRAIN_DELAY_MS }, 'stopping all processes')
    group.drain()
    await drained(configuration)
    await Promise.all([server, admin].map((one) => one && closeListener(one)))
    await group.end()
    log.info('all processes stopped')
  }

  try {
    await group.start()
  } catch (error) {
    server.close()
    admin?.close()
    group.kill()
    throw error
  }
  return { log, close, kill: () => group.kill() }
}

async function listenAt(port: number, host: string, configuration: Configuration, log: Logger): Promise<Server> {
  const server = createServer({ pauseOnConnect: true, noDelay: true })
  server.listen(port, host)
  await once(server, 'listening')
  surviveAcceptErrors(server, log, () => performance.now())
  // Those that wait for a process: others are its own.
  server.maxConnections = configuration.MULTIGATE_MAX_CONNECTIONS
  return server
}

/** Where a browser on this machine finds it. */
function urlOf(server: Server, scheme: string): string {
  const { address, port, family } = server.address() as AddressInfo
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[address] ?? address
  return `${scheme}://${family === 'IPv6' ? `[${host}]` : host}:${port}`
}

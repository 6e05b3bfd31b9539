import { once } from 'node:events'
import { type AddressInfo, createServer, Server } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createLogger } from '../app/logging.ts'
import type { Configuration } from '../schemas/configuration.ts'
import { surviveAcceptErrors } from '../server/overload/accept-errors.ts'
import { acceptWaiting } from '../server/overload/stop-listening.ts'
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
 * Connections are accepted here, and not by node:cluster, whose last ones are reset when it stops, and which keeps open,
 * but unanswered, what it was giving to a process that died. Resolves when the first process takes connections; throws
 * where the port can't be listened on or the process can't start. `onStop` is called for a stop that a process's signal
 * brought about.
 */
export async function startPrimary(
  configuration: Configuration,
  onStop: (closing: Promise<void>) => void,
): Promise<Primary> {
  const log = createLogger(configuration)
  const server = createServer({ pauseOnConnect: true, noDelay: true })
  server.listen(configuration.MULTIGATE_PORT, configuration.MULTIGATE_HOST)
  await once(server, 'listening')
  surviveAcceptErrors(server, log, () => performance.now())
  const address = server.address() as AddressInfo
  const url = urlOf(address)
  // Those that wait for a process: others are its own.
  server.maxConnections = configuration.MULTIGATE_MAX_CONNECTIONS
  log.info({ processes: configuration.MULTIGATE_PROCESSES }, `listening at ${url}`)

  const group = new Group({
    configuration,
    url,
    log,
    onStop: () => {
      if (closing === undefined) onStop(close())
    },
  })
  server.on('connection', (socket) => {
    socket.on('error', () => undefined)
    group.distributor.distribute(socket)
  })

  let closing: Promise<void> | undefined
  function close(): Promise<void> {
    closing ??= stop()
    return closing
  }
  async function stop(): Promise<void> {
    log.info({ drain_delay_ms: configuration.MULTIGATE_DRAIN_DELAY_MS }, 'stopping all processes')
    group.drain()
    await setTimeout(configuration.MULTIGATE_DRAIN_DELAY_MS)
    await acceptWaiting(server)
    Server.prototype.close.call(server)
    await group.end()
    log.info('all processes stopped')
  }

  try {
    await group.start()
  } catch (error) {
    server.close()
    group.kill()
    throw error
  }
  return { log, close, kill: () => group.kill() }
}

/** Where a browser on this machine finds it. */
function urlOf({ address, port, family }: AddressInfo): string {
  const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[address] ?? address
  return `http://${family === 'IPv6' ? `[${host}]` : host}:${port}`
}

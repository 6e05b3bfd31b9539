import type { FastifyBaseLogger } from 'fastify'
import { type DestinationStream, type LoggerOptions, pino, stdTimeFunctions } from 'pino'
import type { Configuration } from '../schemas/configuration.ts'
import { createLogDestination } from './log-destination.ts'

/** Options of a Fastify instance's logger; `listenTo` its logger once it is there. */
export function createLogging(configuration: Configuration): {
  logger: LoggerOptions & { stream?: DestinationStream }
  /** Has the logger report how many lines were dropped while none could be written. */
  reportDropped(log: Pick<FastifyBaseLogger, 'warn'>): void
} {
  const options = loggerOptions(configuration)
  if (options.transport !== undefined) return { logger: options, reportDropped: () => undefined }
  const stream = createLogDestination()
  return {
    logger: { ...options, stream },
    reportDropped(log) {
      stream.onRecovered = (dropped, reason) =>
        log.warn({ dropped, reason }, 'log lines were dropped because they could not be written')
    },
  }
}

/** The logger of a process without a server. */
export function createLogger(configuration: Configuration) {
  const { logger, reportDropped } = createLogging(configuration)
  const { stream, ...options } = logger
  const log = stream === undefined ? pino(options) : pino(options, stream)
  reportDropped(log)
  return log
}

/** The form of log lines, by the settings `MULTIGATE_LOG_…`: JSON, and on a terminal for people to read. */
function loggerOptions({
  MULTIGATE_LOG_LEVEL: level,
  MULTIGATE_LOG_FORMAT: format,
  MULTIGATE_PROCESSES,
}: Configuration): LoggerOptions {
  if (!process.stdout.isTTY || !isInstalled('pino-pretty')) {
    if (format === 'pino') return { level }
    return { level, timestamp: stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } }
  }
  // A single process needs no name.
  const ignore = MULTIGATE_PROCESSES > 1 ? 'hostname' : 'pid,hostname'
  return {
    level,
    transport: { target: 'pino-pretty', options: { ignore, singleLine: true, translateTime: 'SYS:HH:MM:ss.l' } },
  }
}

/** pino-pretty is for development. */
function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name)
    return true
  } catch {
    return false
  }
}

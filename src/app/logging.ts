import type { FastifyBaseLogger } from 'fastify'
import { type DestinationStream, type LoggerOptions, pino, stdTimeFunctions } from 'pino'
import type { Configuration } from '../schemas/configuration.ts'
import { createLogDestination } from './log-destination.ts'
import { createReadableLog } from './readable-log.ts'

export interface LoggingOptions {
  /** Whether a terminal shows each model of this process when it is ready; default: true. */
  listsModels?: boolean
}

/** Options of a Fastify instance's logger; `listenTo` its logger once it is there. */
export function createLogging(
  configuration: Configuration,
  { listsModels = true }: LoggingOptions = {},
): {
  logger: LoggerOptions & { stream: DestinationStream }
  /** Has the logger report how many lines were dropped while none could be written. */
  reportDropped(log: Pick<FastifyBaseLogger, 'warn'>): void
} {
  const destination = createLogDestination()
  const read = isReadable(configuration)
    ? createReadableLog({ configuration, listsModels, colours: !process.env.NO_COLOR, now: () => performance.now() })
    : undefined
  const stream = read === undefined ? destination : { write: (line: string) => destination.write(read(line)) }
  return {
    logger: { ...loggerOptions(configuration), stream },
    reportDropped(log) {
      destination.onRecovered = (dropped, reason) =>
        log.warn({ dropped, reason }, 'log lines were dropped because they could not be written')
    },
  }
}

/** The logger of a process without a server. */
export function createLogger(configuration: Configuration, options: LoggingOptions = {}) {
  const { logger, reportDropped } = createLogging(configuration, options)
  const { stream, ...loggerOptions } = logger
  const log = pino(loggerOptions, stream)
  reportDropped(log)
  return log
}

/** Whether log lines are for people: on a terminal, unless the settings ask for JSON. */
export function isReadable({ MULTIGATE_LOG_FORMAT: format }: Configuration): boolean {
  return format === 'auto' && process.stdout.isTTY === true
}

/** The form of log lines as JSON, by the settings `MULTIGATE_LOG_…`. */
function loggerOptions({ MULTIGATE_LOG_LEVEL: level, MULTIGATE_LOG_FORMAT: format }: Configuration): LoggerOptions {
  if (format !== 'iso') return { level }
  return { level, timestamp: stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } }
}

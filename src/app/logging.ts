import { type LoggerOptions, stdTimeFunctions } from 'pino'
import type { Configuration } from '../schemas/configuration.ts'

/** How log lines are written, by the settings `MULTIGATE_LOG_…`: JSON, and on a terminal for people to read. */
export function loggerOptions({
  MULTIGATE_LOG_LEVEL: level,
  MULTIGATE_LOG_FORMAT: format,
  MULTIGATE_PROCESSES,
}: Configuration): LoggerOptions {
  if (!process.stdout.isTTY || !isInstalled('pino-pretty')) {
    if (format === 'pino') return { level }
    return { level, timestamp: stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } }
  }
  // Of one process it goes without saying whose line it is.
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

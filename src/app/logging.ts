import { writeSync } from 'node:fs'
import { type Logger, type LoggerOptions, pino, stdTimeFunctions } from 'pino'
import type { Configuration } from '../schemas/configuration.ts'
import { createReadableLog } from './readable-log.ts'

/**
 * The log of a process, which also says how many lines were dropped while none could be written. `listsModels`: whether
 * a terminal shows each model of this process when it is ready; default: true.
 */
export function createLogger(configuration: Configuration, { listsModels = true } = {}): Logger {
  const destination = createLogDestination()
  const read = isReadable(configuration)
    ? createReadableLog({ configuration, listsModels, colours: !process.env.NO_COLOR, now: () => performance.now() })
    : undefined
  const stream = read === undefined ? destination : { write: (line: string) => destination.write(read(line)) }
  const log = pino(loggerOptions(configuration), stream)
  destination.onRecovered = (dropped, reason) =>
    log.warn({ dropped, reason }, 'log lines were dropped because they could not be written')
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

/**
 * Where log lines go: a file descriptor. A line that can't be written, as on a full disk, is dropped; the server goes
 * on. Pino's own destination tries such a line again for ever.
 */
export interface LogDestination {
  /** Never throws. */
  write(line: string): void
  /** Called once lines can be written again, with the number of dropped ones and why the last could not be written. */
  onRecovered: (dropped: number, reason: string) => void
}

/** Lines that all destinations of this process have dropped since its start. */
let allDropped = 0

/** Log lines of this process that could not be written, since its start. */
export function droppedLogLines(): number {
  return allDropped
}

/** Time until such lines are sent again, ms. */
const retryAfter = 100

/** Lines kept while the reader of a non-blocking pipe is slow, bytes. */
const mostWaiting = 1 << 20

const newline = 0x0a

/** `writeTo` takes some bytes of a buffer, as `fs.writeSync` does. */
export function createLogDestination(
  writeTo: (bytes: Buffer) => number = (bytes) => writeSync(1, bytes),
): LogDestination {
  /** Bytes that a slow reader has not taken yet; the first line may have been written in part. */
  let waiting: Buffer = Buffer.alloc(0)
  let dropped = 0
  let reason = ''
  /** The last byte that was written. */
  let last = newline
  /** The last line was written in part. */
  let isTorn = false

  function drop(error: unknown): void {
    dropped++
    allDropped++
    reason = (error as Error).message
  }
  /** Bytes that could not be written now. */
  function send(bytes: Buffer): Buffer {
    let rest = bytes
    try {
      while (rest.length > 0) {
        const taken = writeTo(rest)
        last = rest[taken - 1] ?? last
        rest = rest.subarray(taken)
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return rest
      drop(error)
      isTorn = last !== newline
      return Buffer.alloc(0)
    }
    return rest
  }

  let retry: NodeJS.Timeout | undefined
  /** Sends what waits, and these bytes. */
  function sendAll(bytes: Buffer): void {
    const before = dropped
    const end = isTorn ? '\n' : ''
    isTorn = false
    waiting = send(Buffer.concat([Buffer.from(end), waiting, bytes]))
    if (waiting.length > 0) {
      if (retry === undefined)
        retry = setTimeout(() => {
          retry = undefined
          sendAll(Buffer.alloc(0))
        }, retryAfter).unref()
    } else if (dropped > 0 && dropped === before) {
      const [lost, why] = [dropped, reason]
      dropped = 0
      destination.onRecovered(lost, why)
    }
  }

  const destination: LogDestination = {
    write(line) {
      const bytes = Buffer.from(line)
      if (waiting.length + bytes.length > mostWaiting) {
        waiting = send(waiting)
        if (waiting.length + bytes.length > mostWaiting) {
          drop(new Error('the reader of the log is too slow'))
          return
        }
      }
      sendAll(bytes)
    },
    onRecovered: () => undefined,
  }
  return destination
}

import { styleText } from 'node:util'
import type { Configuration } from '../schemas/configuration.ts'

/** How log lines look on a terminal. */
export interface ReadableLogOptions {
  configuration: Pick<Configuration, 'MULTIGATE_PROCESSES' | 'MULTIGATE_CONSOLE' | 'MULTIGATE_ADMIN_PORT'>
  /**
   * Whether each model of this process has a line when it is ready; of several processes the first lists its models.
   */
  listsModels: boolean
  /** Colours may be used. */
  colours: boolean
  /** ms since the start of the process. */
  now(): number
}

interface Line {
  level: number
  time: number
  msg?: string
  [name: string]: unknown
}

/** Fields of every line, which say nothing to a person at a terminal. */
const unshown = new Set(['level', 'time', 'pid', 'hostname', 'msg', 'v', 'request_id', 'err'])

const levels: [number, string, 'red' | 'yellow' | 'dim'][] = [
  [50, 'error', 'red'],
  [40, 'warn', 'yellow'],
  [30, '', 'dim'],
  [0, 'debug', 'dim'],
]

/**
 * Writes pino's lines for people: where the service is, and each model when it is ready, in lines of their own; all
 * others with their time, level and fields. A line that is not JSON stays unchanged.
 */
export function createReadableLog(options: ReadableLogOptions): (line: string) => string {
  const { listsModels, colours, now } = options
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    colours ? styleText(style, text, { validateStream: false }) : text
  const started = startLines(options, paint)

  return (text) => {
    let line: Line
    try {
      line = JSON.parse(text)
    } catch {
      return text
    }
    const { msg = '' } = line
    const value = (name: string) => printable(String(line[name] ?? ''))
    const known = line.level === 30 ? started(msg, line) : undefined
    if (known !== undefined) return known
    switch (msg) {
      case 'model loaded':
        return listsModels
          ? `  ${paint('green', '✓')} ${value('model')} ${paint('dim', value('version'))}  ${paint('dim', `${Number(line.seconds).toFixed(1)} s`)}\n`
          : ''
      case 'model failed to load':
        return `  ${paint('red', '✗')} ${value('model')} ${paint('dim', value('version'))}  ${value('reason')}\n`
      case 'ready':
        return listsModels
          ? `\n${paint('bold', 'Ready')} after ${(now() / 1000).toFixed(1)} s: ${counted(line.models)}.\n`
          : `  process ${line.pid} is ready\n`
      case 'warmed up by HTTP':
        // Part of the time that it took to load.
        return ''
      case 'all processes are ready':
        return `All ${value('processes')} processes are ready.\n`
      default:
        return otherLine(line, paint)
    }
  }
}

type Paint = (style: Parameters<typeof styleText>[0], text: string) => string

/** The lines of the start: undefined for any other message, '' for one that is not shown. */
function startLines(
  { configuration, listsModels }: ReadableLogOptions,
  paint: Paint,
): (msg: string, line: Line) => string | undefined {
  const isOneOfSeveral = configuration.MULTIGATE_PROCESSES > 1
  let adminUrl: string | undefined
  return (msg, line) => {
    const [, what, url] = /^(listening|administration) at (\S+)$/.exec(msg) ?? []
    if (what === 'administration') adminUrl = url
    if (what !== undefined && !isOneOfSeveral) return ''
    if (what === 'listening') {
      const console = configuration.MULTIGATE_ADMIN_PORT === 0 ? url : undefined
      return addresses(url!, console)
    }
    if (what === 'administration') return addresses(undefined, url)
    if (msg !== 'loading models') return undefined
    const folder = `Loading the models of ${printable(String(line.models))}, ${line.workers} ${line.workers === 1 ? 'worker' : 'workers'}:\n`
    if (isOneOfSeveral) return listsModels ? `\n${folder}` : ''
    const served = typeof line.docs === 'string' ? line.docs.replace(/\/docs$/, '') : undefined
    const consoleAt = configuration.MULTIGATE_ADMIN_PORT === 0 ? served : adminUrl
    return `${addresses(served, consoleAt)}\n${folder}`
  }

  function addresses(served: string | undefined, consoleAt: string | undefined): string {
    const row = (name: string, url: string) => `  ${name.padEnd(9)}${paint('cyan', url)}\n`
    const header = served === undefined ? '' : `\n${paint('bold', 'multigate')} listens at ${paint('cyan', served)}\n\n`
    const api = served === undefined ? '' : row('API', `${served}/docs`)
    const console = configuration.MULTIGATE_CONSOLE && consoleAt !== undefined ? row('Console', `${consoleAt}/`) : ''
    return `${header}${console}${api}`
  }
}

function otherLine(line: Line, paint: Paint): string {
  const { time, msg = '', level } = line
  const [, name, style] = levels.find(([least]) => level >= least)!
  const fields = Object.entries(line)
    .filter(([field]) => !unshown.has(field))
    .map(([field, value]) => `${field}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const { stack } = (line.err ?? {}) as { stack?: string }
  const parts = [paint('dim', clock(time)), name && paint(style, name), printable(msg)]
  if (fields.length > 0) parts.push(paint('dim', printable(fields.join(' '))))
  const trace = typeof stack === 'string' ? `${stack.split('\n').map(printable).join('\n')}\n` : ''
  return `${parts.filter((part) => part !== '').join(' ')}\n${trace}`
}

function counted(models: unknown): string {
  const count = Array.isArray(models) ? models.length : 0
  return count === 1 ? '1 model' : `${count} models`
}

function clock(time: number): string {
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? '' : date.toTimeString().slice(0, 8)
}

/** Names and reasons come from files and clients: control characters would move the cursor, or worse. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '\u{fffd}')
}

import { readFileSync, writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { isatty } from 'node:tty'
import { hideCredentialsIn } from '../base/address-credentials.ts'
import type { Configuration } from '../schemas/configuration.ts'
import { moreFiles } from '../server/overload/connections.ts'

/*
 * The first moments of a process, before its own modules are loaded. It imports nothing but Node's own, so that signals
 * are handled from the first line on; until Node runs it, a signal ends the process as the system does.
 */

const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

export interface Start {
  /** From now on others handle signals and what is thrown. Idempotent. */
  over(): void
}

/** Until the start is over, a signal ends the process with 0 and a log line, and a failure with 1 and its reason. */
export function beginStart(): Start {
  let isOver = false
  // Stays for good: where the last listener is taken away, a signal that has come, but was not delivered yet, is lost.
  const stop = (signal: NodeJS.Signals) => {
    if (isOver) return
    writeLine(`${signal} before the start was over: stopped`)
    process.exit(0)
  }
  for (const signal of signals) process.on(signal, stop)
  const fail = (error: Error) => failStart(error)
  process.on('uncaughtException', fail)
  return {
    over() {
      isOver = true
      process.off('uncaughtException', fail)
    },
  }
}

/**
 * Says why the process can't start, and ends it with 1. `adminPort`: the port of administration, where one is
 * configured.
 */
export function failStart(error: unknown, { adminPort = 0 }: { adminPort?: number | undefined } = {}): never {
  const { message, code, port } = error as NodeJS.ErrnoException & { port?: number }
  const flag = port === adminPort ? '--admin-port' : '--port'
  console.error(`multigate can't start: ${explain(code, hideCredentialsIn(message ?? String(error)), flag)}`)
  process.exit(1)
}

function explain(code: string | undefined, message: string, flag: string): string {
  if (code === 'EADDRINUSE') return `${message}; ${flag} chooses another`
  // Without descriptors to look for them, Node reports modules as missing.
  const noDescriptor = code === 'ERR_MODULE_NOT_FOUND' && openFilesLimit() < 256
  if (noDescriptor || /\bE[MN]FILE\b/.test(message)) return `too few file descriptors (${message}). ${moreFiles}`
  if (code === 'ERR_WORKER_INIT_FAILED' || /\bEAGAIN\b/.test(message))
    return `the system refuses more threads or processes (${message}). Raise the limit: ulimit -u, in systemd TasksMax=, with containers --pids-limit`
  return message
}

/** A log line in the form of the logger's, which is not loaded yet: its settings are read from the environment. */
function writeLine(msg: string): void {
  const { MULTIGATE_LOG_LEVEL = 'info', MULTIGATE_LOG_FORMAT = 'auto' } = process.env
  if (!['trace', 'debug', 'info'].includes(MULTIGATE_LOG_LEVEL)) return
  const now = new Date()
  const iso = MULTIGATE_LOG_FORMAT === 'iso'
  const line = {
    level: iso ? 'info' : 30,
    time: iso ? now.toISOString() : now.getTime(),
    pid: process.pid,
    hostname: hostname(),
    msg,
  }
  try {
    writeSync(1, `${MULTIGATE_LOG_FORMAT === 'auto' && isatty(1) ? msg : JSON.stringify(line)}\n`)
  } catch {
    // Nobody can read it, as on a full disk.
  }
}

/** File descriptors that a process needs beside those of its connections. */
const own = 400

/** How many files the process may have open; infinity where the system has no such limit. */
export function openFilesLimit(): number {
  return Number(limitOfLinux() ?? limitOfReport() ?? Number.POSITIVE_INFINITY) || Number.POSITIVE_INFINITY
}

function limitOfLinux(): string | undefined {
  try {
    return /^Max open files +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
  } catch {
    return undefined
  }
}

/** Takes longer, and asks name servers about open connections. */
function limitOfReport(): number | string | undefined {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | string } } }
  return userLimits?.open_files?.soft
}

/** Why the limit of open files is too low for the connections that a process may have; undefined where it isn't. */
export function openFilesProblem(
  { MULTIGATE_MAX_CONNECTIONS: connections, MULTIGATE_PROCESSES: processes }: Configuration,
  limit = openFilesLimit(),
): string | undefined {
  const needed = own + Math.ceil(connections / Math.max(1, processes))
  if (limit >= needed) return undefined
  return `the limit of open files is ${limit}, and MULTIGATE_MAX_CONNECTIONS=${connections} needs ${needed}: connections beyond the limit are closed without an answer; set ulimit -n to ${needed} or more, or lower MULTIGATE_MAX_CONNECTIONS`
}

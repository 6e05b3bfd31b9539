import { readFileSync } from 'node:fs'
import type { Configuration } from '../schemas/configuration.ts'

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

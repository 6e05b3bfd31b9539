// The ceiling that served rates are a share of: the rate of the engine alone.
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { median } from '../../src/base/arrays.ts'
import type { Candidates } from './queries.ts'

/** The calls that are timed, as an argument in JSON. */
export interface AloneOptions {
  models: string
  name: string
  /** Folder of compiled plans. */
  cache: string
  /** Rows of the request of a call. */
  rows: number
  candidates: Candidates
  /** Time of each measurement, s; slow calls take longer. */
  seconds: number
}

/** Medians of the calls of one process, or their means over processes, µs. */
export interface AloneTimes {
  /** One call after the other. */
  warm: number
  /** Each after other memory than theirs has gone through the caches. */
  cold: number
  /** The variant that computed most rows. */
  variant: string
}

const program = join(import.meta.dirname, 'engine-alone.js')

/** Times calls of one session on each core, all at the same time; returns the means of the processes' medians. */
export async function timeAlone(options: AloneOptions): Promise<AloneTimes> {
  const children = Array.from({ length: availableParallelism() }, () => fork(program, [JSON.stringify(options)]))
  try {
    await Promise.all(children.map(messageOf))
    const times = children.map(messageOf)
    for (const child of children) child.send('go')
    const all = (await Promise.all(times)) as AloneTimes[]
    const mean = (key: 'warm' | 'cold') => all.reduce((sum, time) => sum + time[key], 0) / all.length
    return { warm: mean('warm'), cold: mean('cold'), variant: all[0]!.variant }
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
}

/** Requests per second that `cores` cores could compute, one in a call, by the median of repeated times. */
export function ceilingOf(alone: readonly AloneTimes[], cores = availableParallelism()): number {
  return (cores * 1e6) / median(alone.map(({ warm }) => warm))
}

async function messageOf(child: ChildProcess): Promise<unknown> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the process that times the engine ended with ${code}`)
  })
  return (await Promise.race([once(child, 'message'), ended]))[0]
}

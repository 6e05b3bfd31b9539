import { readdir, readFile } from 'node:fs/promises'
import { fieldsOf } from '../competitors/processor-time.ts'

/** Parts of a server, by the work of their threads. */
export type Role = 'main thread' | 'V8' | 'libuv' | 'workers'

/** Processor time of threads so far, and how often they gave the processor back. */
export interface ThreadTime {
  /** µs, to 10 ms. */
  user: number
  system: number
  /** µs, exactly. */
  ran: number
  /** Time that they were ready and had no processor, µs. */
  ready: number
  /** Times that they began to wait, and that others took their processor. */
  waits: number
  preempted: number
}

/** Node's threads after the main one, in the order of their start: a scheduler, four of V8, that of the inspector. */
const ofV8 = 6
/** UV_THREADPOOL_SIZE. */
const ofLibuv = 4
/** Linux reports processor time in ticks (USER_HZ), µs. */
const tick = 10_000

/** The role of each thread, by id, from the order in which Node starts them. */
export function rolesOf(threads: readonly number[]): Map<number, Role> {
  const sorted = [...threads].sort((a, b) => a - b)
  return new Map(
    sorted.map((thread, i): [number, Role] => {
      if (i === 0) return [thread, 'main thread']
      if (i <= ofV8) return [thread, 'V8']
      return [thread, i <= ofV8 + ofLibuv ? 'libuv' : 'workers']
    }),
  )
}

/** The threads of a process, by id. */
export async function readThreads(pid: number): Promise<Map<number, ThreadTime>> {
  const threads = new Map<number, ThreadTime>()
  for (const name of await readdir(`/proc/${pid}/task`)) {
    const read = (file: string) => readFile(`/proc/${pid}/task/${name}/${file}`, 'latin1')
    // One may have ended meanwhile.
    const texts = await Promise.all(['stat', 'schedstat', 'status'].map(read)).catch(() => undefined)
    if (texts) threads.set(Number(name), parseThread(texts as [string, string, string]))
  }
  return threads
}

/** Reads `stat`, `schedstat` and `status` of a thread (proc(5)). */
export function parseThread([stat, schedule, status]: readonly [string, string, string]): ThreadTime {
  const fields = fieldsOf(stat)
  const [ran, ready] = schedule.split(' ').map((ns) => Number(ns) / 1000)
  const count = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0)
  return {
    ...{ user: Number(fields[11]) * tick, system: Number(fields[12]) * tick, ran: ran!, ready: ready! },
    ...{ waits: count('voluntary_ctxt_switches'), preempted: count('nonvoluntary_ctxt_switches') },
  }
}

/** Processor time between two readings, by role. */
export function takenBetween(
  before: ReadonlyMap<number, ThreadTime>,
  after: ReadonlyMap<number, ThreadTime>,
): Map<Role, ThreadTime> {
  const roles = rolesOf([...after.keys()])
  const taken = new Map<Role, ThreadTime>()
  for (const [thread, time] of after) {
    const role = roles.get(thread)!
    const sum = taken.get(role) ?? { user: 0, system: 0, ran: 0, ready: 0, waits: 0, preempted: 0 }
    const earlier = before.get(thread)
    for (const key of Object.keys(sum) as (keyof ThreadTime)[]) sum[key] += time[key] - (earlier?.[key] ?? 0)
    taken.set(role, sum)
  }
  return taken
}

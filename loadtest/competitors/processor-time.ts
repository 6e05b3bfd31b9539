import { readdir, readFile } from 'node:fs/promises'

/** Linux reports CPU time to user space in hundredths of a second (USER_HZ). */
const ticksPerSecond = 100

/**
 * Runs `work`, which resolves with the generator's CPU time, s. Adds the CPU time of the server's group, s, and the
 * average number of cores used by everything else, including this machine's host.
 */
export async function withProcessorTime<T extends { generatorSeconds: number }>(
  group: number,
  work: () => Promise<T>,
): Promise<T & { serverSeconds: number; otherCores: number }> {
  const [server, machine, started] = [await processorSeconds(group), await machineSeconds(), performance.now()]
  const result = await work()
  const serverSeconds = (await processorSeconds(group)) - server
  const others = (await machineSeconds()) - machine - serverSeconds - result.generatorSeconds
  return { ...result, serverSeconds, otherCores: Math.max(0, others / ((performance.now() - started) / 1000)) }
}

/** CPU time of a group's running processes so far, s; NaN without /proc. */
async function processorSeconds(group: number): Promise<number> {
  const names = await readdir('/proc').catch(() => undefined)
  if (names === undefined) return Number.NaN
  const stats = names
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readFile(`/proc/${name}/stat`, 'latin1').catch(() => ''))
  const times = (await Promise.all(stats)).map((stat) => parseStat(stat))
  return times.filter((time) => time?.group === group).reduce((sum, time) => sum + time!.seconds, 0)
}

/** CPU time of this machine so far, including time stolen by its host, s; NaN without /proc. */
async function machineSeconds(): Promise<number> {
  const stat = await readFile('/proc/stat', 'latin1').catch(() => '')
  return parseMachineStat(stat)
}

/** CPU time in the first line of `/proc/stat`: all except idle and waiting; user time includes guest time (proc(5)). */
export function parseMachineStat(stat: string): number {
  const [user, nice, system, , , irq, softirq, steal] = (/^cpu +(.*)/.exec(stat)?.[1] ?? '').split(' ').map(Number)
  return (user! + nice! + system! + irq! + softirq! + steal!) / ticksPerSecond
}

/** The group and the CPU time in a line of `/proc/<pid>/stat`; undefined if it is empty (proc(5)). */
export function parseStat(stat: string): { group: number; seconds: number } | undefined {
  const fields = fieldsOf(stat)
  if (fields.length < 13) return undefined
  return { group: Number(fields[2]), seconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond }
}

/** Fields of `/proc/<pid>/stat`, or a thread's, behind the second: a name, which may contain spaces and brackets. */
export const fieldsOf = (stat: string): string[] => stat.slice(stat.lastIndexOf(')') + 2).split(' ')

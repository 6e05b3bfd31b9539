import { readdir, readFile } from 'node:fs/promises'

/** Linux counts processor time in hundredths of a second for user space, whatever the kernel does (USER_HZ). */
const ticksPerSecond = 100

/**
 * Does `work`, which answers how much processor time the generator used, s; and adds how much the server's group used, s,
 * and on average how many cores anything else did, this machine's host included.
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

/** Processor time of all processes of a group so far, those that live, s; NaN where there is no /proc. */
async function processorSeconds(group: number): Promise<number> {
  const names = await readdir('/proc').catch(() => undefined)
  if (names === undefined) return Number.NaN
  const stats = names
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readFile(`/proc/${name}/stat`, 'latin1').catch(() => ''))
  const times = (await Promise.all(stats)).map((stat) => parseStat(stat))
  return times.filter((time) => time?.group === group).reduce((sum, time) => sum + time!.seconds, 0)
}

/** Processor time of everything on this machine so far, and what its host took from it, s; NaN where there is no /proc. */
async function machineSeconds(): Promise<number> {
  const stat = await readFile('/proc/stat', 'latin1').catch(() => '')
  return parseMachineStat(stat)
}

/** Of the first line of `/proc/stat`: all but idle and waiting; the guest's time is in the user's already (proc(5)). */
export function parseMachineStat(stat: string): number {
  const [user, nice, system, , , irq, softirq, steal] = (/^cpu +(.*)/.exec(stat)?.[1] ?? '').split(' ').map(Number)
  return (user! + nice! + system! + irq! + softirq! + steal!) / ticksPerSecond
}

/** The group and the processor time in a line of `/proc/<pid>/stat`; undefined where there is none (proc(5)). */
export function parseStat(stat: string): { group: number; seconds: number } | undefined {
  // The second field, the program's name, may hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields.length < 13) return undefined
  return { group: Number(fields[2]), seconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond }
}

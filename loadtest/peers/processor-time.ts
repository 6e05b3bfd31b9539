import { readdir, readFile } from 'node:fs/promises'

/** Linux counts processor time in hundredths of a second for user space, whatever the kernel does (USER_HZ). */
const ticksPerSecond = 100

/** Processor time of all processes of a group so far, those that live, s; NaN where there is no /proc. */
export async function processorSeconds(group: number): Promise<number> {
  const names = await readdir('/proc').catch(() => undefined)
  if (names === undefined) return Number.NaN
  const stats = names
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readFile(`/proc/${name}/stat`, 'latin1').catch(() => ''))
  const times = (await Promise.all(stats)).map((stat) => parseStat(stat))
  return times.filter((time) => time?.group === group).reduce((sum, time) => sum + time!.seconds, 0)
}

/** The group and the processor time in a line of `/proc/<pid>/stat`; undefined where there is none (proc(5)). */
export function parseStat(stat: string): { group: number; seconds: number } | undefined {
  // The second field, the program's name, may hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields.length < 13) return undefined
  return { group: Number(fields[2]), seconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond }
}

import { readFile } from 'node:fs/promises'

/** Processor time of the main threads of a process and its children so far, s; undefined where Linux does not count it. */
export async function mainThreadSeconds(pid: number): Promise<number | undefined> {
  try {
    const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1')).trim()
    const pids = [String(pid), ...(children === '' ? [] : children.split(/\s+/))]
    // The first number is the time on a processor, ns (proc_pid_schedstat).
    const stats = await Promise.all(pids.map((id) => readFile(`/proc/${id}/task/${id}/schedstat`, 'latin1')))
    return stats.reduce((sum, stat) => sum + Number(stat.split(' ')[0]) / 1e9, 0)
  } catch {
    return undefined
  }
}

import { platform, setPriority, totalmem } from 'node:os'

/** Whether a process of this machine or container runs, by its id. */
export function isAlive(id: number): boolean {
  try {
    process.kill(id, 0)
    return true
  } catch (error) {
    // Another user's process runs, but may not be signalled.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** The container's memory limit, by cgroup v1 or v2, or the machine's memory; bytes. */
export function memoryLimit(): number {
  return Math.min(process.constrainedMemory() || Number.POSITIVE_INFINITY, totalmem())
}

/**
 * Options of a thread that an application may start. A thread takes over Node's own arguments, and with those of
 * `node --input-type=module -e …` it refuses to run a file: then it goes without any.
 */
export function threadOptions(execArgv = process.execArgv): { execArgv?: string[] } {
  return execArgv.some((argument) => argument.startsWith('--input-type')) ? { execArgv: [] } : {}
}

/**
 * Sets the priority of the calling thread on Linux, where threads have priorities of their own, if that is permitted;
 * from −20 to 19: the lower, the sooner.
 */
export function setThreadPriority(priority: number): void {
  try {
    if (platform() === 'linux') setPriority(0, priority)
  } catch {
    // It keeps its priority.
  }
}

/**
 * ONNX Runtime's official builds send usage data to Microsoft unless this variable is set before they start. To be
 * called in the main thread, before it or a worker loads ONNX Runtime: a worker's environment is a copy, which native
 * code does not see. A value that the user has set stays.
 */
export function sendNoUsageData(env: NodeJS.ProcessEnv = process.env): void {
  env.ORT_DISABLE_TELEMETRY ??= '1'
}

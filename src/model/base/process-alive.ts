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

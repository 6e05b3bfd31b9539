import { execFileSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'

/** A small file system in memory that can be filled. */
export interface Disk {
  /** Leaves no byte free. */
  fill(): void
  /** Gives back what `fill` took. */
  empty(): void
  unmount(): void
}

/** Sizes of what is written until nothing fits any more, bytes. */
const blocks = [1 << 20, 4096, 1]

/** Mounts a disk of this size on the folder, which is made; undefined where this process may not. */
export async function mountDisk(folder: string, bytes: number): Promise<Disk | undefined> {
  await mkdir(folder, { recursive: true })
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  const ballast = join(folder, 'ballast')
  let isMounted = true
  const unmount = () => {
    if (isMounted) execFileSync('umount', ['--lazy', folder], { stdio: 'ignore' })
    isMounted = false
  }
  // Also where the run is interrupted.
  process.once('exit', unmount)
  return {
    fill() {
      const file = openSync(ballast, 'w')
      for (const size of blocks) while (canWrite(file, size)) {}
      closeSync(file)
    },
    empty: () => rmSync(ballast, { force: true }),
    unmount() {
      process.off('exit', unmount)
      unmount()
    },
  }
}

function canWrite(file: number, size: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(size)) > 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}

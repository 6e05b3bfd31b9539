import { existsSync, rmSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

/*
 * Loaded into a process before its own code (node --import): a worker thread ends, as if it crashed, when the file DIE
 * is there; it takes the file away.
 */
const file = process.env.DIE
if (!isMainThread && file !== undefined)
  setInterval(() => {
    if (!existsSync(file)) return
    rmSync(file)
    process.exit(9)
  }, 50).unref()

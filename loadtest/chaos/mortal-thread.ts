import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { isMainThread, parentPort } from 'node:worker_threads'

/*
 * Loaded into every process and thread of the server (node --import): a worker of the engine pool ends in the middle of
 * a call, as if it crashed, once MORTAL_THREADS has a file named after its process. It takes the file away, and leaves
 * another with the time: nanoseconds of the monotonic clock, which all processes share.
 */

const folder = process.env.MORTAL_THREADS

/** How often a thread looks for the file, ms. */
const interval = 50

if (!isMainThread && parentPort !== null && folder !== undefined) makeMortal(parentPort, folder)

function makeMortal(port: NonNullable<typeof parentPort>, folder: string): void {
  const wish = `${folder}/${process.pid}`
  let isDoomed = false
  setInterval(() => {
    isDoomed = existsSync(wish)
  }, interval).unref()
  const on = port.on.bind(port)
  const mortal = (listener: (message: unknown) => void) => (message: unknown) => {
    if (isDoomed && isCall(message) && takeAway(wish)) {
      writeFileSync(`${wish}.died.new`, String(process.hrtime.bigint()))
      renameSync(`${wish}.died.new`, `${wish}.died`)
      process.exit(9)
    }
    listener(message)
  }
  // A listener of our own would start the port before the worker listens.
  Object.assign(port, {
    on: (event: string, listener: (value: unknown) => void) =>
      on(event, event === 'message' ? mortal(listener) : listener),
  })
}

/** Whether a message asks a worker to compute. */
function isCall(message: unknown): boolean {
  return /^run/.test(String((message as { type?: unknown } | null)?.type))
}

/** Whether this thread is the one that took it. */
function takeAway(file: string): boolean {
  try {
    rmSync(file)
    return true
  } catch {
    return false
  }
}

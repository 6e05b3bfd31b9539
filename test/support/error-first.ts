import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'

/**
 * Threads emit `error` before messages that they posted earlier, as Node does where both wait. `isHeld` chooses the
 * messages: they are held until the error, or the exit.
 */
export function emitErrorFirst(t: Test, isHeld: (message: unknown) => boolean): void {
  const { emit } = Worker.prototype
  const held = new Map<Worker, unknown[]>()
  const ended = new WeakSet<Worker>()
  function release(worker: Worker): void {
    const messages = held.get(worker) ?? []
    held.delete(worker)
    for (const message of messages) emit.call(worker, 'message', message)
  }
  Worker.prototype.emit = function (this: Worker, event: string, ...rest: unknown[]) {
    if (event === 'message' && !ended.has(this) && isHeld(rest[0])) {
      held.set(this, [...(held.get(this) ?? []), rest[0]])
      return true
    }
    if (event === 'exit') {
      ended.add(this)
      release(this)
    }
    const isHeard = emit.call(this, event, ...rest)
    if (event === 'error') release(this)
    return isHeard
  } as typeof emit
  t.teardown(() => {
    Worker.prototype.emit = emit
  })
}

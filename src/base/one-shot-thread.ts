import { Worker } from 'node:worker_threads'
import { reasonOf } from './errors.ts'
import { sendNoUsageData, threadOptions } from './process.ts'

/** Why a thread ended without a result. */
export class ThreadFailure extends Error {}

const start = new URL('./one-shot-start.js', import.meta.url)

/**
 * Runs `script` in a thread of its own at the lowest priority, which posts messages and ends. `read` returns the result
 * that a message completes, undefined before the last; it may answer with `post`, or throw to reject. By default the
 * first message is the result.
 *
 * Rejects with ThreadFailure where the thread ends without a result.
 */
export function runThread<Result, Message = Result>(
  script: URL,
  data: unknown,
  read: (message: Message, post: (answer: unknown) => void) => Result | undefined = (message) =>
    message as unknown as Result,
): Promise<Result> {
  // The thread may load ONNX Runtime.
  sendNoUsageData()
  return new Promise((resolve, reject) => {
    const thread = new Worker(start, { ...threadOptions(), workerData: data, argv: [script.href] })
    thread.on('message', (message: Message) => {
      try {
        const result = read(message, (answer) => thread.postMessage(answer))
        if (result !== undefined) resolve(result)
      } catch (error) {
        reject(error)
      }
    })
    let death: string | undefined
    thread.once('error', (error) => {
      death = reasonOf(error)
    })
    // A result may arrive after an error, but never after the exit.
    thread.once('exit', (code) => reject(new ThreadFailure(death ?? `its thread ended with exit code ${code}`)))
  })
}

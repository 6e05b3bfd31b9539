/* Arrays in memory that threads share. */

export const shareFloats = (length: number): Float32Array => new Float32Array(new SharedArrayBuffer(length * 4))

export const shareIntegers = (length: number): Int32Array => new Int32Array(new SharedArrayBuffer(length * 4))

/** The array itself where its memory is shared, else a copy. */
export function shared<T extends Float32Array | Int32Array | Int8Array>(values: T): T {
  if (values.buffer instanceof SharedArrayBuffer) return values
  const Kind = values.constructor as new (buffer: SharedArrayBuffer) => T
  const copy = new Kind(new SharedArrayBuffer(values.byteLength))
  copy.set(values)
  return copy
}

/*
 * A thread must not be ended while ONNX Runtime computes in it: the process would end too. So threads say when it does,
 * and ask before whether they shall stop.
 */

/** Thrown in a thread that shall stop. */
export class Stopped extends Error {}

const stopped = 0
const firstThread = 1

/** Elements of the shared memory that this takes. */
export const activityLength = (threads: number): number => firstThread + threads

/** Runs a call into ONNX Runtime in a thread. Rejects with Stopped, without a call, where the thread shall stop. */
export async function active<T>(activity: Int32Array, thread: number, call: () => Promise<T>): Promise<T> {
  Atomics.store(activity, firstThread + thread, 1)
  try {
    if (Atomics.load(activity, stopped) === 1) throw new Stopped('the thread shall stop')
    return await call()
  } finally {
    Atomics.store(activity, firstThread + thread, 0)
  }
}

/** Asks all threads to stop, and resolves once none computes: each can be ended then. */
export async function stop(activity: Int32Array): Promise<void> {
  Atomics.store(activity, stopped, 1)
  while (activity.subarray(firstThread).some((_, thread) => Atomics.load(activity, firstThread + thread) === 1))
    await new Promise((resolve) => setTimeout(resolve, 2))
}

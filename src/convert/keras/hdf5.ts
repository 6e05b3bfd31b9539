import { type FileHandle, open } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import { ModelError, reasonOf } from '../../model/base/errors.ts'
import { fileProblem } from '../../model/base/regular-file.ts'

/** A tensor of an HDF5 file. */
export interface Tensor {
  shape: number[]
  /** Row-major. */
  values: Float32Array
}

/** What is read of an HDF5 file that Keras wrote. */
export interface Hdf5File {
  /** Path on disk, or within an archive, for messages. */
  file: string
  /** By path in the file, without a slash at the front, in the file's own order. */
  tensors: Map<string, Tensor>
  /** Text attributes by path of their group; the root's path is empty. */
  attributes: Map<string, Record<string, string | string[]>>
}

export interface Hdf5Task {
  bytes: Uint8Array<ArrayBuffer>
}

export type Hdf5Answer =
  | { ok: true; tensors: [string, Tensor][]; attributes: [string, Record<string, string | string[]>][] }
  | { ok: false; problem: string }

/** The library keeps the whole file in memory, as one array. */
export const largestHdf5 = 2 ** 31 - 1

/** Reading is a matter of seconds; a file that is made to lead the library in circles is given up, ms. */
const patience = 120_000

/**
 * Reads an HDF5 file, given as bytes, which are taken away from the caller. What an optimizer keeps is left out.
 *
 * It is read in a thread of its own, from memory, so that nothing in the file reaches another file, and none holds this
 * thread. Rejects with INVALID_BUNDLE, naming the file and the place in it, where it is no HDF5 file, is truncated, holds
 * a link to another file, other numbers than float32 and float64, or claims more than its own size.
 */
export async function readHdf5(
  bytes: Uint8Array<ArrayBuffer>,
  file: string,
  { milliseconds = patience, script = new URL('./hdf5-thread.js', import.meta.url) } = {},
): Promise<Hdf5File> {
  const answer = await inThread(bytes, script, milliseconds)
  if (!answer.ok) throw new ModelError('INVALID_BUNDLE', `${file}: ${answer.problem}`)
  return { file, tensors: new Map(answer.tensors), attributes: new Map(answer.attributes) }
}

/** A file's bytes, in memory of their own. Rejects with INVALID_BUNDLE if it can't be read, or is larger than `most`. */
export async function readWhole(path: string, most: number): Promise<Uint8Array<ArrayBuffer>> {
  return withFile(path, async (handle, size) => {
    if (size > most)
      throw new ModelError('INVALID_BUNDLE', `${path}: has ${size} bytes, more than ${most} can't be read`)
    const bytes = new Uint8Array(size)
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await handle.read(bytes, done, Math.min(bytes.length - done, readAtOnce), done)
      if (bytesRead === 0) throw new ModelError('INVALID_BUNDLE', `${path}: ends after ${done} bytes`)
      done += bytesRead
    }
    return bytes
  })
}

/** The first bytes of a file, 0 where it is shorter. Rejects like `readWhole`. */
export async function readStart(path: string, length: number): Promise<Uint8Array> {
  return withFile(path, async (handle) => {
    const start = new Uint8Array(length)
    await handle.read(start, 0, length, 0)
    return start
  })
}

/** Linux reads 2 GiB at once at most, Node less. */
const readAtOnce = 1 << 26

async function withFile<T>(path: string, use: (handle: FileHandle, size: number) => Promise<T>): Promise<T> {
  const handle = await open(path).catch((cause) => {
    throw new ModelError('INVALID_BUNDLE', `${path}: ${fileProblem(cause)}`, { cause })
  })
  try {
    const found = await handle.stat()
    if (!found.isFile()) throw new ModelError('INVALID_BUNDLE', `${path}: is no file`)
    return await use(handle, found.size)
  } finally {
    await handle.close()
  }
}

function inThread(bytes: Uint8Array<ArrayBuffer>, script: URL, milliseconds: number): Promise<Hdf5Answer> {
  return new Promise((resolve) => {
    // What the library prints of its errors is said in the answer, in words.
    const worker = new Worker(script, { stdout: true, stderr: true })
    const answer = (answer: Hdf5Answer) => {
      clearTimeout(timer)
      void worker.terminate()
      resolve(answer)
    }
    const fail = (problem: string) => answer({ ok: false, problem })
    const timer = setTimeout(() => fail(`could not be read within ${milliseconds / 1000} s`), milliseconds)
    worker.once('message', answer)
    worker.once('error', (error) => fail(`can't be read: ${reasonOf(error)}`))
    worker.once('exit', (code) => fail(`can't be read: its thread ended with exit code ${code}`))
    worker.postMessage({ bytes } satisfies Hdf5Task, [bytes.buffer])
  })
}

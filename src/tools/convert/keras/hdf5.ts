import { type FileHandle, open } from 'node:fs/promises'
import { Worker } from 'node:worker_threads'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import { fileProblem } from '../../../base/files.ts'

/** A tensor of an HDF5 file. */
export interface Tensor {
  shape: number[]
  /** Row-major. */
  values: Float32Array
}

/** The content of an HDF5 file written by Keras. */
export interface Hdf5File {
  /** Path on disk, or within an archive, for messages. */
  file: string
  /** By path in the file, without a leading slash, in the file's order. */
  tensors: Map<string, Tensor>
  /** Text attributes by the path of their group; the root's path is empty. */
  attributes: Map<string, Record<string, string | string[]>>
}

export interface Hdf5Task {
  bytes: Uint8Array<ArrayBuffer>
}

export type Hdf5Answer =
  | { ok: true; tensors: [string, Tensor][]; attributes: [string, Record<string, string | string[]>][] }
  | { ok: false; problem: string }

/** Largest file, bytes: the library keeps it in memory as one array. */
export const largestHdf5 = 2 ** 31 - 1

/** Longest time for reading, ms. It takes seconds, unless a malicious file makes the library loop. */
const patience = 120_000

/**
 * Reads an HDF5 file without its optimizer's state. The bytes are transferred from the caller.
 *
 * A separate thread reads the file from memory, so that it can't reach other files and can't block this thread. Rejects
 * with INVALID_BUNDLE, naming the file and the place in it, if it is not an HDF5 file, is truncated, contains a link to
 * another file or numbers other than float32 and float64, or declares more than its own size.
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

/** Reads a file into its own buffer. Rejects with INVALID_BUNDLE if it can't be read or is larger than `most` bytes. */
export async function readWhole(path: string, most: number): Promise<Uint8Array<ArrayBuffer>> {
  return withFile(path, async (handle, size) => {
    if (size > most) throw new ModelError('INVALID_BUNDLE', `${path} has ${size} bytes; at most ${most} can be read`)
    const bytes = new Uint8Array(size)
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await handle.read(bytes, done, Math.min(bytes.length - done, chunkBytes), done)
      if (bytesRead === 0) throw new ModelError('INVALID_BUNDLE', `${path} ends after ${done} bytes`)
      done += bytesRead
    }
    return bytes
  })
}

/** The first bytes of a file, padded with 0. Rejects like `readWhole`. */
export async function readStart(path: string, length: number): Promise<Uint8Array> {
  return withFile(path, async (handle) => {
    const start = new Uint8Array(length)
    await handle.read(start, 0, length, 0)
    return start
  })
}

/** Bytes per read: Linux limits one read to 2 GiB, Node to less. */
const chunkBytes = 1 << 26

async function withFile<T>(path: string, use: (handle: FileHandle, size: number) => Promise<T>): Promise<T> {
  const handle = await open(path).catch((cause) => {
    throw new ModelError('INVALID_BUNDLE', `${path} ${fileProblem(cause)}`, { cause })
  })
  try {
    const found = await handle.stat()
    if (!found.isFile()) throw new ModelError('INVALID_BUNDLE', `${path} is not a file`)
    return await use(handle, found.size)
  } finally {
    await handle.close()
  }
}

function inThread(bytes: Uint8Array<ArrayBuffer>, script: URL, milliseconds: number): Promise<Hdf5Answer> {
  return new Promise((resolve) => {
    // The answer has the error; the library's own output is dropped.
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

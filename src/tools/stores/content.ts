import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { Content } from './object-store.ts'

/** Bytes that are read together. */
const chunkBytes = 1 << 18

/** These bytes as content. */
export function contentOf(bytes: Uint8Array): Content {
  const digest = (algorithm: string) => createHash(algorithm).update(bytes).digest('hex')
  return {
    bytes: bytes.length,
    sha256: digest('sha256'),
    md5: digest('md5'),
    read: () => Readable.from(bytes.length > 0 ? [Buffer.from(bytes)] : [], { objectMode: false }),
  }
}

/** A file that stays open, so that its content can be read after its name is gone. */
export interface FileContent extends Content {
  close(): Promise<void>
}

/** Opens a file and reads it for its digests. Rejects with the system's error, or when `signal` is aborted. */
export async function openContent(path: string, signal: AbortSignal): Promise<FileContent> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const [sha256, md5] = [createHash('sha256'), createHash('md5')]
    for await (const chunk of readChunks(handle, size)) {
      signal.throwIfAborted()
      sha256.update(chunk)
      md5.update(chunk)
    }
    return {
      ...{ bytes: size, sha256: sha256.digest('hex'), md5: md5.digest('hex') },
      read: () => Readable.from(readChunks(handle, size), { objectMode: false }),
      close: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** The first `size` bytes; fewer of a file that has become shorter, which its receivers notice. */
async function* readChunks(handle: FileHandle, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; ) {
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, size - at))
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, at)
    if (bytesRead === 0) return
    at += bytesRead
    yield chunk.subarray(0, bytesRead)
  }
}

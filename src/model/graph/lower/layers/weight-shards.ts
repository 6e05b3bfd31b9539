import { open, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ModelError } from '../../../../base/errors.ts'
import { fileProblem, pathInside } from '../../../../base/files.ts'

/** Consecutive shards, and the size of the weights in them. */
export interface ShardGroup {
  /** Relative to the folder of the file that lists them. */
  paths: string[]
  bytes: number
}

/**
 * Concatenates all shards that `file` lists. Memory is allocated only after their sizes have been checked.
 *
 * Rejects with INVALID_BUNDLE, naming the shard, if one is missing, of the wrong size, listed twice, or outside
 * `folder`.
 */
export async function readShards(folder: string, file: string, groups: readonly ShardGroup[]): Promise<ArrayBuffer> {
  const shards = new Map<string, { name: string; size: number }>()
  let total = 0
  for (const { paths, bytes: needed } of groups) {
    let found = 0
    for (const name of paths) {
      const path = pathInside(folder, dirname(resolve(folder, file)), name)
      if (shards.has(path)) throw invalid(name, 'is listed twice')
      const size = (await stat(path).catch((error) => fail(name, error))).size
      shards.set(path, { name, size })
      found += size
    }
    if (found !== needed) throw invalid(paths.join(', '), `holds ${found} bytes, its weights need ${needed}`)
    total += needed
  }
  const data = new ArrayBuffer(total)
  let offset = 0
  for (const [path, { name, size }] of shards) {
    await readShard(path, name, new Uint8Array(data, offset, size))
    offset += size
  }
  return data
}

async function readShard(path: string, name: string, target: Uint8Array): Promise<void> {
  const handle = await open(path).catch((error) => fail(name, error))
  try {
    for (let done = 0; done < target.length; ) {
      const { bytesRead } = await handle.read(target, done, target.length - done, done)
      if (bytesRead === 0) throw invalid(name, `ends after ${done} of ${target.length} bytes`)
      done += bytesRead
    }
  } finally {
    await handle.close()
  }
}

function fail(name: string, cause: unknown): never {
  throw new ModelError('INVALID_BUNDLE', `${name}: ${fileProblem(cause)}`, { cause })
}

function invalid(name: string, message: string): ModelError {
  return new ModelError('INVALID_BUNDLE', `${name}: ${message}`)
}

import { open, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import Type from 'typebox'
import { fileProblem, pathInside } from '../../../base/files.ts'
import { invalidIn } from '../ir/file-errors.ts'

/** The list of weights in a model.json: tensors, in order, over the concatenated shards. */
export const weightsManifest = <Spec extends Type.TSchema>(spec: Spec) =>
  Type.Array(
    Type.Object({
      paths: Type.Array(Type.String({ minLength: 1 }), { description: "Shards, relative to model.json's folder" }),
      weights: Type.Array(spec),
    }),
  )

/**
 * Reads the weights that `file` lists: each with its bytes, of which `bytesOf` says how many there are, by name; they
 * are views of all shards, concatenated. Memory is allocated only after their sizes have been checked.
 *
 * Rejects with INVALID_BUNDLE, naming the shard, if one is missing, of the wrong size, listed twice, or outside
 * `folder`, and if two weights have one name.
 */
export async function readWeights<Spec extends { name: string }>(
  folder: string,
  file: string,
  manifest: readonly { paths: string[]; weights: Spec[] }[],
  bytesOf: (spec: Spec) => number,
): Promise<{ stored: Map<string, { spec: Spec; bytes: Uint8Array }>; weightData: ArrayBuffer }> {
  const sizes = manifest.map(({ weights }) => weights.map(bytesOf))
  const shards = new Map<string, { name: string; size: number }>()
  for (const [group, { paths }] of manifest.entries()) {
    const needed = sum(sizes[group]!)
    let found = 0
    for (const name of paths) {
      const path = pathInside(folder, dirname(resolve(folder, file)), name)
      if (shards.has(path)) throw invalidIn(name, 'is listed twice')
      const size = (await stat(path).catch((error) => fail(name, error))).size
      shards.set(path, { name, size })
      found += size
    }
    if (found !== needed) throw invalidIn(paths.join(', '), `holds ${found} bytes, its weights need ${needed}`)
  }
  const lengths = sizes.flat()
  const weightData = new ArrayBuffer(sum(lengths))
  let offset = 0
  for (const [path, { name, size }] of shards) {
    await readShard(path, name, new Uint8Array(weightData, offset, size))
    offset += size
  }
  const stored = new Map<string, { spec: Spec; bytes: Uint8Array }>()
  offset = 0
  for (const [i, spec] of manifest.flatMap(({ weights }) => weights).entries()) {
    if (stored.has(spec.name)) throw invalidIn(file, `two weights are named ${spec.name}`)
    const bytes = new Uint8Array(weightData, offset, lengths[i]!)
    stored.set(spec.name, { spec, bytes })
    offset += bytes.length
  }
  return { stored, weightData }
}

const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0)

async function readShard(path: string, name: string, target: Uint8Array): Promise<void> {
  const handle = await open(path).catch((error) => fail(name, error))
  try {
    for (let done = 0; done < target.length; ) {
      const { bytesRead } = await handle.read(target, done, target.length - done, done)
      if (bytesRead === 0) throw invalidIn(name, `ends after ${done} of ${target.length} bytes`)
      done += bytesRead
    }
  } finally {
    await handle.close()
  }
}

function fail(name: string, cause: unknown): never {
  throw invalidIn(name, fileProblem(cause), cause)
}

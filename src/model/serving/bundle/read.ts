import { readdir, readFile, realpath } from 'node:fs/promises'
import { join, posix, relative, sep } from 'node:path'
import { ModelError } from '../../../base/errors.ts'
import { fileReason, realPathInside, sizeOfOrdinary } from '../../../base/files.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { SavedSignature } from '../../contracts/saved-signature.ts'
import { externalFiles } from '../../graph/ir/external-data.ts'
import { hashInThread, sha256 } from './checksum.ts'
import { manifestFile, readManifest } from './manifest.ts'

/** A model version on disk, its manifest and checksums verified. */
export interface Bundle {
  /** Absolute path. */
  folder: string
  manifest: Manifest
  /** Whether the manifest was derived from the graph; such a manifest names no features. */
  manifestless?: { signature: SavedSignature }
}

/**
 * Reads and verifies `<root>/<name>/<version>/`, which has a manifest.
 *
 * Throws INVALID_BUNDLE, naming the file and the place in it, if the manifest is missing, malformed, or contradicts
 * itself or its folder, or if a file, the manifest included, is missing, is outside the folder, or has a different
 * checksum.
 */
export async function readManifestBundle(root: string, name: string, version: string): Promise<Bundle> {
  const folder = join(root, name, version)
  const where = `${name}/${version}/${manifestFile}`
  const inside = await reading(where, () => realpath(folder))
  await reading(where, () => realPathInside(inside, join(folder, manifestFile), where))
  const manifest = await readManifest(join(folder, manifestFile), where)
  if (manifest.name !== name)
    invalid(`${where}: /name is ${JSON.stringify(manifest.name)}, but the folder is called ${name}`)
  if (manifest.version !== version)
    invalid(`${where}: /version is ${JSON.stringify(manifest.version)}, but the folder is called ${version}`)
  await verifyFiles({ folder, inside, version: `${name}/${version}` }, manifest.files, 'manifest')
  await verifyShards(folder, manifest, where)
  return { folder, manifest }
}

/**
 * Verifies files by their SHA-256. `inside`: the real path of their folder; `version` names it; `listing`: what lists
 * them. Throws INVALID_BUNDLE.
 */
export async function verifyFiles(
  { folder, inside, version }: Record<'folder' | 'inside' | 'version', string>,
  files: Readonly<Record<string, string>>,
  listing: string,
): Promise<void> {
  const paths = new Map<string, string>()
  let bytes = 0
  for (const file of Object.keys(files))
    await reading(`${version}/${file}`, async () => {
      const path = await realPathInside(inside, join(folder, file), `${version}/${file}`)
      bytes += await sizeOfOrdinary(path)
      paths.set(file, path)
    })
  const digests = await hashInThread([...paths.values()], bytes)
  for (const [file, path] of paths) {
    const actual = await reading(`${version}/${file}`, async () => digests.get(path) ?? sha256(path))
    const expected = files[file]
    if (actual !== expected)
      invalid(`${version}/${file} is damaged: its SHA-256 is ${actual}, the ${listing} says ${expected}`)
  }
}

/** Does `work`; what it throws is said of this file. */
async function reading<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof ModelError) throw cause
    return invalid(`${file} can't be read: ${fileReason(cause)}`, cause)
  }
}

/** Files of weights that the graph names must be listed too, so that their checksums are verified. */
async function verifyShards(folder: string, { graph, files }: Manifest, where: string): Promise<void> {
  let shards: unknown[]
  try {
    shards =
      graph.format === 'saved_model'
        ? await variableFiles(folder, posix.dirname(graph.file))
        : namedFiles(graph.format, await readFile(join(folder, graph.file)))
  } catch {
    // The engine reports problems of the graph itself.
    return
  }
  for (const shard of shards) {
    if (typeof shard === 'string' && !Object.hasOwn(files, posix.join(posix.dirname(graph.file), shard)))
      invalid(`${where}: /files lacks ${JSON.stringify(shard)}, which ${graph.file} reads`)
  }
}

function namedFiles(format: Manifest['graph']['format'], bytes: Buffer): unknown[] {
  return format === 'onnx' ? externalFiles(bytes) : shardsOf(bytes)
}

function shardsOf(bytes: Buffer): unknown[] {
  const { weightsManifest } = JSON.parse(bytes.toString())
  return weightsManifest.flatMap(({ paths }: { paths: unknown }) => paths)
}

function invalid(message: string, cause?: unknown): never {
  throw new ModelError('INVALID_BUNDLE', message, { cause })
}

/** Variable files of the SavedModel in `folder`/`beside`, relative to the latter. */
async function variableFiles(folder: string, beside: string): Promise<string[]> {
  const directory = 'variables'
  const names = await readdir(join(folder, beside, directory)).catch(() => [])
  return names.filter((name) => name.startsWith('variables.')).map((name) => posix.join(directory, name))
}

/** Rejects with INVALID_BUNDLE if a link in a version's folder leads out of it; `version` names the folder. */
export async function checkLinks(folder: string, version: string): Promise<void> {
  const inside = await realpath(folder)
  const links = (await readdir(inside, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isSymbolicLink(),
  )
  for (const { parentPath, name } of links) {
    const path = join(parentPath, name)
    const where = `${version}/${relative(inside, path).split(sep).join('/')}`
    await realPathInside(inside, path, where).catch((cause) => {
      if (cause instanceof ModelError) throw cause
      throw new ModelError('INVALID_BUNDLE', `${where} can't be read: ${fileReason(cause)}`, { cause })
    })
  }
}

import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, posix, relative, sep } from 'node:path'
import { withCanonicalArchitecture } from '../../schemas/architecture.ts'
import { check } from '../../schemas/check.ts'
import { Manifest } from '../../schemas/manifest.ts'
import type { ProblemItem } from '../../schemas/problem.ts'
import { ModelError, reasonOf } from '../base/errors.ts'
import { fileReason, sizeOfOrdinary } from '../base/regular-file.ts'
import type { SavedSignature } from '../contracts/saved-signature.ts'
import { externalFiles } from '../graph/external-data.ts'
import { variableFiles } from '../lower/tensorflow/saved-model.ts'
import { type BareGraph, describeBareGraph, findGraph } from '../manifestless/manifestless.ts'
import { sha256 } from './checksum.ts'
import { contradictions } from './consistency.ts'
import { readManifestInThread } from './manifest-in-thread.ts'

/** A model version on disk, its manifest and checksums verified. */
export interface Bundle {
  /** Absolute path. */
  folder: string
  manifest: Manifest
  /** The graph has no manifest: this one was made of what the graph says, and names no features. */
  bare?: { signature: SavedSignature }
}

export const manifestFile = 'manifest.json'

/** Manifests are small, but vocabularies can be long. */
const largestManifest = 256 * 1024 * 1024

/** Bytes of a manifest that is read and checked in the calling thread: that takes some milliseconds. */
const smallManifest = 1 << 18

/**
 * Reads and verifies `<root>/<name>/<version>/`. A folder without a manifest, but with a graph, is asked with tensors alone;
 * not so where other versions of the model have a manifest: then this one's is on its way, or was forgotten.
 *
 * Throws INVALID_BUNDLE, naming the file and the place in it, if the manifest is missing, malformed or contradicts itself
 * or its folder, or if a file is missing, leaves the folder, or has another checksum.
 */
export async function readBundle(root: string, name: string, version: string): Promise<Bundle> {
  const folder = join(root, name, version)
  const graph = await bareGraph(root, name, version)
  if (graph !== undefined) {
    const { manifest, signature } = await describeBareGraph(folder, graph, { name, version })
    return { folder, manifest, bare: { signature } }
  }
  const where = `${name}/${version}/${manifestFile}`
  const manifest = await readManifest(join(folder, manifestFile), where)
  if (manifest.name !== name)
    invalid(`${where}: /name is ${JSON.stringify(manifest.name)}, but the folder is called ${name}`)
  if (manifest.version !== version)
    invalid(`${where}: /version is ${JSON.stringify(manifest.version)}, but the folder is called ${version}`)
  await verifyFiles(folder, manifest, `${name}/${version}`)
  await verifyShards(folder, manifest, where)
  return { folder, manifest }
}

/** The graph of a version that has no manifest, and whose model has none in any version. */
async function bareGraph(root: string, name: string, version: string): Promise<BareGraph | undefined> {
  const hasManifest = (folder: string) =>
    stat(join(root, name, folder, manifestFile)).then(
      () => true,
      ({ code }) => code !== 'ENOENT' && code !== 'ENOTDIR',
    )
  if (await hasManifest(version)) return undefined
  const graph = await findGraph(join(root, name, version), `${name}/${version}`)
  if (graph === undefined) {
    const keras = (await readdir(join(root, name, version)).catch(() => [])).find((file) =>
      /\.(?:keras|h5)$/.test(file),
    )
    if (keras !== undefined)
      invalid(`${name}/${version}/${keras} is what Keras saved: multigate import makes a version of it`)
    return undefined
  }
  for (const other of await readdir(join(root, name)))
    if (other !== version && (await hasManifest(other)))
      invalid(`${name}/${version}/${manifestFile} is missing, though ${name}/${other} has one`)
  return graph
}

/** Parses and checks a manifest's text; `where` names it in errors. */
export function parseManifest(text: string, where: string): Manifest {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    return invalid(`${where} is not JSON: ${reasonOf(cause)}`)
  }
  const { manifest, problems } = checkManifest(json, where)
  if (problems.length > 0) invalid(`${where}: ${problems.slice(0, 10).join('; ')}`)
  return manifest
}

function checkManifest(json: unknown, where: string): { manifest: Manifest; problems: string[] } {
  try {
    const malformed: ProblemItem[] = []
    const manifest = check(Manifest, withCanonicalArchitecture(json), '', malformed) as Manifest
    const problems =
      malformed.length > 0
        ? malformed.map(({ path, message }) => `${path || '/'} ${message}`)
        : contradictions(manifest)
    return { manifest, problems }
  } catch (cause) {
    // The stack has overflown.
    return invalid(`${where} can't be checked: ${reasonOf(cause)}`, cause)
  }
}

async function readManifest(path: string, where: string): Promise<Manifest> {
  let text: string
  try {
    const size = await sizeOfOrdinary(path)
    if (size > largestManifest) invalid(`${where} is larger than ${largestManifest} bytes`)
    if (size > smallManifest) return await readManifestInThread({ path, where })
    text = await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof ModelError) throw cause
    return invalid(`${where} can't be read: ${fileReason(cause)}`, cause)
  }
  return parseManifest(text, where)
}

async function verifyFiles(folder: string, manifest: Manifest, version: string): Promise<void> {
  const inside = await realpath(folder)
  for (const [file, expected] of Object.entries(manifest.files)) {
    let actual: string
    try {
      const path = await realpath(join(folder, file))
      // Not any name that begins with two dots: Kubernetes mounts files as links into a folder `..data`.
      if (`${relative(inside, path)}${sep}`.startsWith(`..${sep}`))
        invalid(`${version}/${file} leads out of its folder`)
      await sizeOfOrdinary(path)
      actual = await sha256(path)
    } catch (cause) {
      if (cause instanceof ModelError) throw cause
      invalid(`${version}/${file} can't be read: ${fileReason(cause)}`, cause)
    }
    if (actual !== expected) {
      invalid(`${version}/${file} is damaged: its SHA-256 is ${actual}, the manifest says ${expected}`)
    }
  }
}

/** Weights that the graph names must be listed too: else nobody would have looked at them. */
async function verifyShards(folder: string, { graph, files }: Manifest, where: string): Promise<void> {
  let shards: unknown[]
  try {
    shards =
      graph.format === 'saved_model'
        ? await variableFiles(folder, posix.dirname(graph.file))
        : namedFiles(graph.format, await readFile(join(folder, graph.file)))
  } catch {
    // What is wrong with the graph itself, the engine says.
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

import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { ModelError } from '../../../base/errors.ts'
import { compareVersions } from '../../../base/names.ts'
import { didYouMean } from '../../../schemas/closest-name.ts'
import { manifestFile, readManifest } from '../bundle/manifest.ts'
import { type Bundle, readManifestBundle } from '../bundle/read.ts'
import { describeManifestless, findGraph, type ManifestlessGraph } from './manifestless.ts'

/**
 * Reads and verifies `<root>/<name>/<version>/`. A folder without a manifest, but with a graph, is asked with tensors
 * alone; not so where other versions of the model have a manifest: then this one's is on its way, or was forgotten.
 *
 * Throws INVALID_BUNDLE, naming the file and the place in it, if the manifest is missing, malformed or contradicts
 * itself or its folder, or if a file is missing, leaves the folder, or has another checksum.
 */
export async function readBundle(root: string, name: string, version: string): Promise<Bundle> {
  const folder = join(root, name, version)
  const graph = await bareGraph(root, name, version)
  if (graph !== undefined) {
    const { manifest, signature } = await describeManifestless(folder, graph, { name, version })
    return { folder, manifest, manifestless: { signature } }
  }
  return readManifestBundle(root, name, version)
}

/**
 * A version's description of itself, without its files: they are neither read nor verified, and a manifest that is
 * derived from a graph lists none. Throws INVALID_BUNDLE.
 */
export async function readDescription(
  root: string,
  name: string,
  version: string,
): Promise<Pick<Bundle, 'manifest' | 'manifestless'>> {
  const folder = join(root, name, version)
  const graph = await bareGraph(root, name, version)
  if (graph === undefined)
    return { manifest: await readManifest(join(folder, manifestFile), `${name}/${version}/${manifestFile}`) }
  const { manifest, signature } = await describeManifestless(folder, graph, { name, version }, () => ({}))
  return { manifest, manifestless: { signature } }
}

/** The graph of a version that has no manifest, and whose model has none in any version. */
async function bareGraph(root: string, name: string, version: string): Promise<ManifestlessGraph | undefined> {
  const hasManifest = (folder: string) =>
    stat(join(root, name, folder, manifestFile)).then(
      () => true,
      ({ code }) => code !== 'ENOENT' && code !== 'ENOTDIR',
    )
  if (await hasManifest(version)) return undefined
  const graph = await findGraph(join(root, name, version), `${name}/${version}`)
  // The folder may have been gone for a moment.
  if (graph !== undefined && (await hasManifest(version))) return undefined
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

function invalid(message: string): never {
  throw new ModelError('INVALID_BUNDLE', message)
}

/**
 * Says that `path` is neither a path to a model nor a model in one of `folders`, and suggests the model with the
 * closest name, or the versions that there are.
 */
export async function missingModel(
  path: string,
  folders: readonly string[],
  kinds = 'the folder of a model or version',
): Promise<string> {
  const [name = ''] = path.split('/')
  const hints = folders.map(async (folder) => {
    const versions = await versionsIn(join(folder, name))
    if (versions.length > 0 && name !== path) return `; ${join(folder, name)} has the versions ${versions.join(', ')}`
    return didYouMean(name, await readdir(folder).catch(() => []))
  })
  const hint = (await Promise.all(hints)).find((found) => found !== '') ?? ''
  return `${path} is neither ${kinds} nor a model in ${folders.join(' or ')}${hint}`
}

/** The versions in a model's folder, highest first. */
async function versionsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => numbered.test(name)).sort((a, b) => compareVersions(b, a))
}

/**
 * The version that a path means: a version's folder, a model's (then its highest version), or a model's name below one
 * of `folders`, the first that has it; undefined where it is none of these.
 */
export async function findBundle(path: string, ...folders: string[]): Promise<Bundle | undefined> {
  for (const folder of [resolve(path), ...folders.map((models) => resolve(models, path))]) {
    if (await isVersion(folder))
      return readBundle(dirname(dirname(folder)), basename(dirname(folder)), basename(folder))
    const [highest] = await versionsIn(folder)
    if (highest !== undefined) return readBundle(dirname(folder), basename(folder), highest)
  }
  return undefined
}

const numbered = /^[1-9]\d*$/

async function isVersion(folder: string): Promise<boolean> {
  const manifest = await stat(join(folder, manifestFile)).catch(() => undefined)
  if (manifest !== undefined) return true
  return numbered.test(basename(folder)) && (await findGraph(folder, folder).catch(() => true)) !== undefined
}

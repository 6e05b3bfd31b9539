import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { ModelError } from '../model/base/errors.ts'
import { compareVersions } from '../model/base/versions.ts'
import { checksums } from '../model/bundle/checksum.ts'
import { manifestFile, parseManifest } from '../model/bundle/manifest.ts'
import type { GraphSource } from '../model/contracts/engine.ts'
import { drawRow } from '../model/features/draw-value.ts'
import { encoderOf } from '../model/features/encoder.ts'
import { externalFiles } from '../model/graph/external-data.ts'
import { findGraph } from '../model/version/manifestless.ts'
import { readBundle } from '../model/version/read-version.ts'
import { survey } from '../model/version/survey.ts'
import type { Manifest } from '../schemas/manifest.ts'
import { askGraph } from './ask-graph.ts'
import { differenceOf, readGolden } from './golden.ts'
import { type ScaffoldChoice, scaffold } from './init.ts'
import { openSaved, type SavedGraph } from './open-saved.ts'
import { readText } from './read-options.ts'

export interface InitOptions extends Omit<ScaffoldChoice, 'name' | 'version'> {
  path: string
  /** Folder of models. */
  models: string
  /** Default: those of the folder that the graph lies in, `<name>/<version>/`, or the file's name and 1. */
  name: string | undefined
  version: string | undefined
  /** Rows with answers of the program that trained the model; default: rows drawn at random, answered by the graph. */
  golden: string | undefined
  /** Replaces what is there: a manifest, or the version that a graph is copied to. */
  force: boolean
}

export interface InitResult {
  /** The version's folder. */
  folder: string
  manifest: Manifest
  found: string[]
  left: string[]
}

/** Rows that are drawn and answered, so that a version that answers otherwise is noticed. */
const goldenRows = 16

/**
 * Writes a manifest for a saved graph: beside it, where it lies in `<name>/<version>/`, else into a new version below
 * `models`, to which its files are copied. The version is whole, or not there.
 *
 * Rejects with INVALID_REQUEST where there is a manifest already and `force` isn't set, where the graph gives other answers than the
 * golden rows, and like `survey` and `scaffold`.
 */
export async function writeInit(options: InitOptions): Promise<InitResult> {
  const { path, models, force } = options
  const saved = await openBare(path, models, force)
  const place = placeOf(saved, options)
  if (place.copied && !force && (await exists(place.folder)))
    throw new ModelError(
      'INVALID_REQUEST',
      `${place.folder} is there already: --force replaces it, or name another --name or --model-version`,
    )
  const { format, file } = saved.source
  const choice = { ...options, name: place.name, version: place.version }
  const { manifest, found, left } = scaffold({ format, file }, await survey(saved.source), choice)
  if (options.golden === undefined) await answer(manifest, saved.source.folder, found, left)
  else await compare(manifest, saved.source.folder, options.golden, found)
  const temporary = await mkdtemp(join(await parentOf(place.folder), '.init-'))
  try {
    const whole = join(temporary, 'new')
    if (place.copied) await copyGraph(saved.source, whole)
    else await mkdir(whole)
    const files = await checksums(place.copied ? whole : place.folder)
    delete files[manifestFile]
    const text = `${JSON.stringify({ ...manifest, files }, undefined, 2)}\n`
    parseManifest(text, join(place.folder, manifestFile))
    await writeFile(join(whole, manifestFile), text, { flag: 'wx' })
    if (place.copied) {
      await rename(place.folder, join(temporary, 'replaced')).catch(ignoreAbsent)
      await rename(whole, place.folder)
    } else await rename(join(whole, manifestFile), join(place.folder, manifestFile))
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  const root = dirname(dirname(place.folder))
  return { folder: place.folder, manifest: (await readBundle(root, place.name, place.version)).manifest, found, left }
}

async function openBare(path: string, models: string, force: boolean): Promise<SavedGraph> {
  if (extname(path) === '.keras' || extname(path) === '.h5')
    throw new ModelError('INVALID_REQUEST', `${path} is what Keras saved: multigate import makes a version of it`)
  const saved = await openSaved(path, models).catch(async (error) => {
    // A manifest that is wrong, or no longer fits its graph, is what a new one is to replace.
    const graph =
      force && error instanceof ModelError && error.code === 'INVALID_BUNDLE' ? await graphOf(path, models) : undefined
    if (graph === undefined) throw error
    return { name: path, source: { ...graph, outputs: [] }, manifest: undefined }
  })
  const there = await exists(join(saved.source.folder, manifestFile))
  if (there && !force)
    throw new ModelError('INVALID_REQUEST', `${path} has a manifest already: --force makes a new one`)
  const { folder, format, file } = saved.source
  return { ...saved, source: { folder, format, file, outputs: [] } }
}

/** The graph of a version or of a model's highest version, whatever its manifest says. */
async function graphOf(path: string, models: string) {
  for (const folder of [resolve(path), resolve(models, path)]) {
    const versions = (await readdir(folder).catch(() => [])).filter((name) => numbered.test(name))
    const highest = versions.sort((a, b) => compareVersions(b, a))[0]
    const version = numbered.test(basename(folder)) ? folder : highest && join(folder, highest)
    const graph = version && (await findGraph(version, version))
    if (graph) return { folder: version, ...graph }
  }
  return undefined
}

const numbered = /^[1-9]\d*$/

interface VersionLocation {
  name: string
  version: string
  folder: string
  copied: boolean
}

function placeOf({ source }: SavedGraph, { name, version, models }: InitOptions): VersionLocation {
  const folder = resolve(source.folder)
  const inPlace = numbered.test(basename(folder))
  if (inPlace && name === undefined && version === undefined)
    return { name: basename(dirname(folder)), version: basename(folder), folder, copied: false }
  const file = basename(source.file, extname(source.file))
  const ownName = inPlace ? basename(dirname(folder)) : basename(folder)
  const named = name ?? (file === 'model' || file === 'saved_model' ? ownName : file)
  const target = resolve(models, named, version ?? '1')
  return { name: named, version: version ?? '1', folder: target, copied: target !== folder }
}

async function parentOf(folder: string): Promise<string> {
  await mkdir(dirname(folder), { recursive: true })
  return dirname(folder)
}

/** An ONNX file with what it reads; of other formats the folder is the graph. */
async function copyGraph({ folder, format, file }: GraphSource, target: string): Promise<void> {
  await mkdir(target)
  const copy = (name: string) => cp(join(folder, name), join(target, name), { recursive: true })
  if (format === 'onnx') {
    for (const name of [file, ...new Set(externalFiles(await readFile(join(folder, file))))]) await copy(name)
  } else for (const name of await readdir(folder)) if (name !== manifestFile) await copy(name)
}

const logits = 'its answers lie outside of 0 … 1: they are taken for logits (/graph/outputs/activation)'

/** Asks the graph rows drawn at random: these are the golden rows. Logits are known by lying outside of 0 … 1. */
async function answer(manifest: Omit<Manifest, 'files'>, folder: string, found: string[], left: string[]) {
  const generator = xoroshiro128plus(1)
  const random = () => uniformFloat64(generator)
  const rows = Array.from({ length: goldenRows }, () => drawRow(manifest.features, random))
  let answers = await askGraph(folder, manifest, rows)
  if (answers.flat().some((value) => !(value >= 0 && value <= 1))) {
    takeForLogits(manifest)
    answers = await askGraph(folder, manifest, rows)
    found.push(logits)
    left.push('/graph/outputs/activation: whether the outputs really are logits')
  }
  manifest.golden = { rows, probabilities: answers, tolerance: 1e-5 }
  found.push(`${goldenRows} golden rows, drawn at random and answered by the graph as it is`)
  left.push(
    '/golden: rows with the answers that the program gave in which the model was trained (--golden), and /tasks/*/calibration',
  )
}

/** Asks the graph the rows of a file: its outputs are probabilities or logits, whichever gives the answers that the file has. */
async function compare(manifest: Omit<Manifest, 'files'>, folder: string, file: string, found: string[]) {
  const tasks = manifest.tasks.map(({ name }) => name)
  const firsts = encoderOf(manifest).layout.sparse.map(({ offset }) => offset)
  const golden = readGolden(await readText(file), file, { features: manifest.features, firsts, tasks })
  const difference = differenceOf(golden, await askGraph(folder, manifest, golden.rows), tasks, 'the graph answers')
  if (difference !== undefined) {
    takeForLogits(manifest)
    const answers = await askGraph(folder, manifest, golden.rows)
    if (differenceOf(golden, answers, tasks, 'the graph answers') !== undefined)
      throw new ModelError('INVALID_REQUEST', `${file}: ${difference}`)
    found.push('its outputs are logits, by the golden rows (/graph/outputs/activation)')
  }
  manifest.golden = golden
  found.push(`${golden.rows.length} golden rows of ${file}, which the graph answers within ${golden.tolerance}`)
}

function takeForLogits(manifest: Omit<Manifest, 'files'>): void {
  manifest.graph = { ...manifest.graph, outputs: { ...manifest.graph.outputs, activation: 'sigmoid' } }
}

function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

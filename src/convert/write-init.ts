import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { checksums } from '../model/bundle/checksum.ts'
import { manifestFile, parseManifest, readBundle } from '../model/bundle/read.ts'
import { survey } from '../model/compile/survey.ts'
import { externalFiles } from '../model/compile/tables.ts'
import { createEngine } from '../model/engines/create.ts'
import type { GraphSource } from '../model/engines/engine.ts'
import { ModelError } from '../model/errors.ts'
import { drawRow } from '../model/features/draw-value.ts'
import { encoderOf } from '../model/features/encoder.ts'
import { portsOf, toBatch } from '../model/prediction/inputs.ts'
import { savedGraph } from '../model/prediction/load-graph.ts'
import type { Manifest } from '../schemas/manifest.ts'
import { type ScaffoldChoice, scaffold } from './init.ts'
import { openSaved, type SavedGraph } from './open-saved.ts'

export interface InitOptions extends Omit<ScaffoldChoice, 'name' | 'version'> {
  path: string
  /** Folder of models. */
  models: string
  /** Default: those of the folder that the graph lies in, `<name>/<version>/`, or the file's name and 1. */
  name: string | undefined
  version: string | undefined
  /** Replaces a manifest that is there. */
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
 * Rejects with INVALID_REQUEST where there is a manifest already and `force` isn't set, and like `survey` and `scaffold`.
 */
export async function writeInit(options: InitOptions): Promise<InitResult> {
  const { path, models, force } = options
  const saved = await openBare(path, models, force)
  const place = placeOf(saved, options)
  if (place.copied && (await exists(place.folder)))
    throw new ModelError('INVALID_REQUEST', `${place.folder} is there already: name another --name or --model-version`)
  const { format, file } = saved.source
  const choice = { ...options, name: place.name, version: place.version }
  const { manifest, found, left } = scaffold({ format, file }, await survey(saved.source), choice)
  await answer(manifest, saved.source, found, left)
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
    if (place.copied) await rename(whole, place.folder)
    else await rename(join(whole, manifestFile), join(place.folder, manifestFile))
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  const root = dirname(dirname(place.folder))
  return { folder: place.folder, manifest: (await readBundle(root, place.name, place.version)).manifest, found, left }
}

async function openBare(path: string, models: string, force: boolean): Promise<SavedGraph> {
  if (extname(path) === '.keras' || extname(path) === '.h5')
    throw new ModelError('INVALID_REQUEST', `${path} is what Keras saved: multigate import makes a version of it`)
  const saved = await openSaved(path, models)
  const there = await exists(join(saved.source.folder, manifestFile))
  if (there && !force)
    throw new ModelError('INVALID_REQUEST', `${path} has a manifest already: --force makes a new one`)
  const { folder, format, file } = saved.source
  return { ...saved, source: { folder, format, file, outputs: [] } }
}

interface Place {
  name: string
  version: string
  folder: string
  copied: boolean
}

function placeOf({ source }: SavedGraph, { name, version, models }: InitOptions): Place {
  const folder = resolve(source.folder)
  if (/^[1-9]\d*$/.test(basename(folder)) && name === undefined && version === undefined)
    return { name: basename(dirname(folder)), version: basename(folder), folder, copied: false }
  const file = basename(source.file, extname(source.file))
  const named = name ?? (file === 'model' || file === 'saved_model' ? basename(folder) : file)
  return { name: named, version: version ?? '1', folder: resolve(models, named, version ?? '1'), copied: true }
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

/** Asks the graph as it is rows drawn at random: these are the golden rows. Logits are known by lying outside of 0 … 1. */
async function answer(manifest: Omit<Manifest, 'files'>, saved: GraphSource, found: string[], left: string[]) {
  const generator = xoroshiro128plus(1)
  const random = () => uniformFloat64(generator)
  const rows = Array.from({ length: goldenRows }, () => drawRow(manifest.features, random))
  const encoder = encoderOf(manifest)
  const encoded = encoder.rows(undefined, rows, { maxRows: goldenRows, partial: false })
  const ask = async (): Promise<number[]> => {
    const { probabilities } = portsOf(manifest)
    const source = savedGraph({ folder: saved.folder, manifest: { ...manifest, files: {} } }, [probabilities])
    const graph = await (await createEngine('auto', 1)).load(source)
    try {
      return Array.from(
        (await graph.run(toBatch({ ...manifest, files: {} }, encoded), [probabilities]))[probabilities]!,
      )
    } finally {
      await graph.close()
    }
  }
  let answers = await ask()
  if (answers.some((value) => !(value >= 0 && value <= 1))) {
    manifest.graph = { ...manifest.graph, outputs: { ...manifest.graph.outputs, activation: 'sigmoid' } }
    answers = await ask()
    found.push('its answers lie outside of 0 … 1: they are taken for logits (/graph/outputs/activation)')
    left.push('/graph/outputs/activation: whether the outputs really are logits')
  }
  const width = manifest.tasks.length
  manifest.golden = {
    rows,
    probabilities: rows.map((_, row) => answers.slice(row * width, (row + 1) * width)),
    tolerance: 1e-5,
  }
  found.push(`${goldenRows} golden rows, drawn at random and answered by the graph as it is`)
  left.push(
    '/golden: rows with the answers that the program gave in which the model was trained, and /tasks/*/calibration',
  )
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

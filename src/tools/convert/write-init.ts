import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { Check } from 'typebox/schema'
import { ModelError } from '../../base/errors.ts'
import { makeFolder } from '../../base/files.ts'
import { compareVersions } from '../../base/names.ts'
import type { GraphSource } from '../../model/contracts/engine.ts'
import { externalFiles } from '../../model/graph/ir/external-data.ts'
import { checksums } from '../../model/serving/bundle/checksum.ts'
import { manifestFile, parseManifest } from '../../model/serving/bundle/manifest.ts'
import { drawRow } from '../../model/serving/features/field.ts'
import { givenColumns, layoutOf } from '../../model/serving/features/layout.ts'
import { servedOf } from '../../model/serving/prediction/served.ts'
import { findGraph } from '../../model/serving/version/manifestless.ts'
import { readBundle } from '../../model/serving/version/read-version.ts'
import { survey } from '../../model/serving/version/survey.ts'
import { type GoldenRows, type Manifest, ModelName, VersionName } from '../../schemas/manifest.ts'
import { askNumbers } from './ask-graph.ts'
import { differenceOf, placeErrors, readGolden } from './golden.ts'
import { type Scaffold, type ScaffoldChoice, scaffold } from './init.ts'
import { openSaved, type SavedGraph } from './open-saved.ts'
import { readText } from './read-options.ts'

export interface InitOptions extends Omit<ScaffoldChoice, 'name' | 'version'> {
  path: string
  /** Folder of models. */
  models: string
  /** Default: those of the graph's folder, `<name>/<version>/`, or the file's name and 1. */
  name: string | undefined
  version: string | undefined
  /** File of rows with answers from the program that trained the model; default: random rows, answered by the graph. */
  golden: string | undefined
  /** Replaces an existing manifest, or an existing version that the graph would be copied to. */
  force: boolean
}

export interface InitResult {
  /** The version's folder. */
  folder: string
  manifest: Manifest
  found: string[]
  left: string[]
}

/** Number of golden rows drawn where no file gives them. */
const goldenRows = 16

/**
 * Writes a manifest for a saved graph. A graph in `<name>/<version>/` gets its manifest there; any other graph is
 * copied into a new version below `models`. A version appears completely or not at all.
 *
 * Rejects with INVALID_REQUEST if a name is invalid, if a manifest exists and `force` isn't set, or if the graph does
 * not answer the golden rows; also like `survey` and `scaffold`. Nothing is written then.
 */
export async function writeInit(options: InitOptions): Promise<InitResult> {
  const { path, models, force } = options
  const saved = await openGraphAlone(path, models, force)
  const place = placeOf(saved, options)
  checkNames(place)
  if (place.copied && !force && (await exists(place.folder)))
    throw new ModelError(
      'INVALID_REQUEST',
      `${place.folder} exists already: --force replaces it; --name or --model-version choose another`,
    )
  const { format, file } = saved.source
  const choice = { ...options, name: place.name, version: place.version }
  const drafted = scaffold({ format, file }, await survey(saved.source), choice)
  const { manifest, found, left } = drafted
  const golden =
    options.golden === undefined
      ? await drawGolden(drafted, saved.source)
      : await checkGolden(manifest, saved.source, options.golden, found)
  manifest.golden = { ...golden, served: servedOf(manifest, golden.probabilities) }
  left.push('/tasks/*/calibration: then remove /golden/served, which has the answers before it')
  const temporary = await mkdtemp(join(await parentOf(place.folder), '.init-'))
  try {
    const version = join(temporary, 'new')
    if (place.copied) await copyGraph(saved.source, version)
    else await mkdir(version)
    const files = await checksums(place.copied ? version : place.folder)
    delete files[manifestFile]
    const text = `${JSON.stringify({ ...manifest, files }, undefined, 2)}\n`
    parseManifest(text, join(place.folder, manifestFile))
    await writeFile(join(version, manifestFile), text, { flag: 'wx' })
    if (place.copied) {
      await rename(place.folder, join(temporary, 'replaced')).catch(ignoreAbsent)
      await rename(version, place.folder)
    } else await rename(join(version, manifestFile), join(place.folder, manifestFile))
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  const root = dirname(dirname(place.folder))
  return { folder: place.folder, manifest: (await readBundle(root, place.name, place.version)).manifest, found, left }
}

/** Opens a saved graph without its manifest. */
async function openGraphAlone(path: string, models: string, force: boolean): Promise<SavedGraph> {
  if (extname(path) === '.keras' || extname(path) === '.h5')
    throw new ModelError('INVALID_REQUEST', `${path} was saved by Keras: convert it with multigate import`)
  const saved = await openSaved(path, models).catch(async (error) => {
    // The new manifest may replace one that is invalid or does not fit its graph.
    const graph =
      force && error instanceof ModelError && error.code === 'INVALID_BUNDLE' ? await graphOf(path, models) : undefined
    if (graph === undefined) throw error
    return { name: path, source: { ...graph, outputs: [] }, manifest: undefined }
  })
  if (!force && (await exists(join(saved.source.folder, manifestFile))))
    throw new ModelError('INVALID_REQUEST', `${path} has a manifest already: --force replaces it`)
  const { folder, format, file } = saved.source
  return { ...saved, source: { folder, format, file, outputs: [] } }
}

/** The graph of a version, or of a model's highest version, regardless of its manifest. */
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

/** A name becomes a folder's name: both are checked before anything is written. */
function checkNames({ name, version }: VersionLocation): void {
  if (!Check(ModelName, name))
    throw new ModelError(
      'INVALID_REQUEST',
      `${JSON.stringify(name)} can't be the name of a model: --name chooses another`,
    )
  if (!Check(VersionName, version))
    throw new ModelError(
      'INVALID_REQUEST',
      `${JSON.stringify(version)} can't be a version: --model-version chooses another`,
    )
}

async function parentOf(folder: string): Promise<string> {
  await makeFolder(dirname(folder))
  return dirname(folder)
}

/** Copies an ONNX file with its external data; in other formats the folder is the graph. */
async function copyGraph({ folder, format, file }: GraphSource, target: string): Promise<void> {
  await mkdir(target)
  const copy = (name: string) => cp(join(folder, name), join(target, name), { recursive: true })
  if (format === 'onnx') {
    for (const name of [file, ...new Set(externalFiles(await readFile(join(folder, file))))]) await copy(name)
  } else for (const name of await readdir(folder)) if (name !== manifestFile) await copy(name)
}

/** Golden rows drawn at random and answered by the graph. Answers outside 0 … 1 show that its outputs are logits. */
async function drawGolden({ manifest, found, left, isCertain }: Scaffold, source: GraphSource): Promise<GoldenRows> {
  const generator = xoroshiro128plus(1)
  const random = () => uniformFloat64(generator)
  const rows = Array.from({ length: goldenRows }, () => drawRow(manifest.features, random))
  let probabilities = await askNumbers(source, manifest, rows)
  let reason = 'the outputs come from no sigmoid or softmax'
  if (probabilities.flat().some((value) => !(value >= 0 && value <= 1))) {
    otherActivation(manifest)
    probabilities = await askNumbers(source, manifest, rows)
    reason = 'some answers lie outside 0 … 1'
  }
  if (manifest.graph.outputs.activation !== undefined)
    found.push(`${reason}, so the outputs are taken as logits (/graph/outputs/activation)`)
  if (!isCertain) left.push('/graph/outputs/activation: whether the outputs are logits')
  found.push(`${goldenRows} golden rows, drawn at random and answered by this graph`)
  left.push('/golden: rows with answers from the program that trained the model (--golden)')
  return { rows, probabilities, tolerance: 1e-5 }
}

/** Golden rows of a file. Its outputs are probabilities or logits, whichever agree with the file's answers. */
async function checkGolden(
  manifest: Omit<Manifest, 'files'>,
  source: GraphSource,
  file: string,
  found: string[],
): Promise<GoldenRows> {
  const tasks = manifest.tasks.map(({ name }) => name)
  const firsts = givenColumns(layoutOf(manifest)).map(({ offset }) => offset)
  const golden = readGolden(await readText(file), file, { features: manifest.features, firsts, tasks })
  const ask = () => placeErrors(file, () => askNumbers(source, manifest, golden.rows))
  const difference = differenceOf(golden, await ask(), tasks, 'the graph answers')
  if (difference !== undefined) {
    otherActivation(manifest)
    if (differenceOf(golden, await ask(), tasks, 'the graph answers') !== undefined)
      throw new ModelError('INVALID_REQUEST', `${file}: ${difference}`)
  }
  const what = manifest.graph.outputs.activation === undefined ? 'probabilities' : 'logits'
  found.push(`the outputs are ${what}, according to the golden rows (/graph/outputs/activation)`)
  found.push(`${golden.rows.length} golden rows of ${file}, which the graph answers within ${golden.tolerance}`)
  return golden
}

/** Takes the outputs for logits instead of probabilities, or the other way round. */
function otherActivation(manifest: Omit<Manifest, 'files'>): void {
  const { activation, ...outputs } = manifest.graph.outputs
  manifest.graph = { ...manifest.graph, outputs: activation ? outputs : { ...outputs, activation: 'sigmoid' } }
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

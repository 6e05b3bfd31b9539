import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { Check } from 'typebox/schema'
import { ModelError } from '../../base/errors.ts'
import { makeFolder } from '../../base/files.ts'
import { compareVersions } from '../../base/names.ts'
import type { GraphSource } from '../../model/contracts/engine.ts'
import { externalFiles } from '../../model/graph/ir/external-data.ts'
import { checksums } from '../../model/serving/bundle/checksum.ts'
import { contradictions } from '../../model/serving/bundle/consistency.ts'
import { manifestFile, parseManifest } from '../../model/serving/bundle/manifest.ts'
import { servedOf } from '../../model/serving/prediction/served.ts'
import { findGraph } from '../../model/serving/version/manifestless.ts'
import { readBundle } from '../../model/serving/version/read-version.ts'
import { survey } from '../../model/serving/version/survey.ts'
import type { EvaluationReport } from '../../schemas/evaluation.ts'
import type { ImportManifest } from '../../schemas/import.ts'
import { type GoldenRows, type Manifest, ModelName, VersionName } from '../../schemas/manifest.ts'
import type { Answers } from './ask-choices.ts'
import { askNumbers } from './ask-graph.ts'
import type { ChosenDerived } from './derived-option.ts'
import { checkGolden, drawGolden } from './graph-golden.ts'
import { type Scaffold, type ScaffoldChoice, scaffold } from './init.ts'
import type { Measured, MeasureOptions } from './measure.ts'
import { openSaved, type SavedGraph } from './open-saved.ts'

export interface InitOptions extends Omit<ScaffoldChoice, 'name' | 'version' | 'features'> {
  path: string
  /** Folder of models. */
  models: string
  /** Default: those of the graph's folder, `<name>/<version>/`, or the file's name and 1. */
  name: string | undefined
  version: string | undefined
  /** The fields, and the tasks and derived tasks with their calibrations; default: plain fields and tasks. */
  stated: ImportManifest | undefined
  /** Derived tasks beside those of `stated`. */
  derived: ChosenDerived[]
  /** Asks a person about a first draft; `fits` throws where fields don't fit the graph. */
  review?: ((draft: Scaffold, fits: (stated: ImportManifest) => void) => Promise<Answers>) | undefined
  /** Path of a spec of labelled rows, and how to judge the version on them; undefined: it is not judged. */
  data: string | undefined
  measuring?: (Omit<MeasureOptions, 'loaded' | 'models'> & { specs: string }) | undefined
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
  /** How good it is on the rows of `data`; where it does not meet the spec's conditions, nothing was written. */
  report: EvaluationReport | undefined
}

/**
 * Writes a manifest for a saved graph. A graph in `<name>/<version>/` gets its manifest there; any other graph is
 * copied into a new version below `models`. A version appears completely or not at all.
 *
 * Rejects with INVALID_REQUEST if a name is invalid, if a manifest exists and `force` isn't set, or if the graph does
 * not answer the golden rows; also like `survey` and `scaffold`. Nothing is written then.
 */
export async function writeInit(options: InitOptions): Promise<InitResult> {
  const { models, force } = options
  const saved = await openGraphAlone(options.path, models, force)
  const { drafted, place, data, golden: goldenFile } = await draft(saved, options)
  if (place.copied && !force && (await exists(place.folder)))
    throw new ModelError(
      'INVALID_REQUEST',
      `${place.folder} exists already: --force replaces it; --name or --model-version choose another`,
    )
  const { manifest, found, left } = drafted
  const golden =
    goldenFile === undefined
      ? await drawGolden(drafted, saved.source)
      : await checkGolden(manifest, saved.source, goldenFile, found)
  manifest.golden = { ...golden, served: servedOf(manifest, golden.probabilities) }
  left.push(
    '/tasks/*/calibration: multigate calibrate fits it; by hand, remove /golden/served, which is from before it',
  )
  const temporary = await mkdtemp(join(await parentOf(place.folder), '.init-'))
  try {
    const version = join(temporary, 'new')
    if (place.copied) await copyGraph(saved.source, version)
    else await mkdir(version)
    const graph = place.copied ? version : place.folder
    const { [manifestFile]: _, ...files } = await checksums(graph)
    const written = { manifest, files }
    let report: EvaluationReport | undefined
    if (data !== undefined) {
      const measured = await measureGraph(drafted, graph, files, saved.source, { ...options, golden: goldenFile, data })
      report = measured.report
      for (const [file, content] of Object.entries(measured.files)) await writeFile(join(version, file), content)
      written.manifest = measured.manifest
      written.files = { ...files, ...(await checksums(version)) }
    } else {
      if (goldenFile === undefined)
        found.push(`${golden.rows.length} golden rows, drawn at random and answered by this graph`)
      if (options.measuring) left.push(unjudged(place.name))
    }
    const text = `${JSON.stringify({ ...written.manifest, files: written.files }, undefined, 2)}\n`
    const parsed = parseManifest(text, join(place.folder, manifestFile))
    if (report?.publish?.passed === false) return { folder: place.folder, manifest: parsed, found, left, report }
    await writeFile(join(version, manifestFile), text, { flag: 'wx' })
    if (place.copied) {
      await rename(place.folder, join(temporary, 'replaced')).catch(ignoreAbsent)
      await rename(version, place.folder)
    } else {
      // The manifest is last: with it the files belong to the version.
      const beside = (await readdir(version)).filter((file) => file !== manifestFile)
      for (const file of [...beside, manifestFile]) await rename(join(version, file), join(place.folder, file))
    }
    const root = dirname(dirname(place.folder))
    const bundle = await readBundle(root, place.name, place.version)
    return { folder: place.folder, manifest: bundle.manifest, found, left, report }
  } finally {
    await rm(temporary, { recursive: true, force: true })
    // Without a version, the folder of a new model is empty.
    await rmdir(dirname(place.folder)).catch(() => undefined)
  }
}

/** The manifest's first draft, after a person was asked where that is wanted. */
async function draft(saved: SavedGraph, options: InitOptions) {
  const signature = await survey(saved.source, { uses: true })
  const scaffoldOf = (options: InitOptions) => {
    const place = placeOf(saved, options)
    checkNames(place)
    const { stated, derived } = options
    if (stated?.tasks && options.tasks)
      throw new ModelError('INVALID_REQUEST', 'the features file names the tasks: omit --tasks')
    const { format, file } = saved.source
    const choice = { ...options, ...place, features: stated?.features, tasks: stated?.tasks?.map(({ name }) => name) }
    const drafted = scaffold({ format, file }, signature, { ...choice, tasks: choice.tasks ?? options.tasks })
    const { manifest } = drafted
    if (stated?.tasks) manifest.tasks = stated.tasks
    if (stated?.description !== undefined) manifest.description = stated.description
    manifest.derived = [...(stated?.derived ?? []), ...derived]
    const problems = contradictions({ ...manifest, files: { [file]: '' } })
    if (problems.length > 0) throw new ModelError('INVALID_REQUEST', problems.join('; '))
    return { drafted, place, data: options.data, golden: options.golden }
  }
  const first = scaffoldOf(options)
  if (options.review === undefined) return first
  const answers = await options.review(first.drafted, (stated) => scaffoldOf({ ...options, stated }))
  return scaffoldOf({
    ...options,
    // A name of its own would copy a graph that is in its place.
    ...(answers.name !== first.place.name && { name: answers.name }),
    ...(answers.context && { sides: { context: answers.context, cross: [] } }),
    longest: answers.longest ?? options.longest,
    stated: answers.stated ?? options.stated,
    tasks: answers.tasks ?? options.tasks,
    derived: [...options.derived, ...answers.derived],
    golden: answers.golden ?? options.golden,
    data: answers.data ?? options.data,
  })
}

/** The manifest and files that rows with labels add to a graph in `folder`. */
async function measureGraph(
  { manifest, found, left }: Scaffold,
  folder: string,
  files: Record<string, string>,
  source: GraphSource,
  { data, measuring, models, golden }: InitOptions & { data: string },
): Promise<Measured> {
  const { measure } = await import('./measure.ts')
  const { readRowsSpec } = await import('../data/read-spec.ts')
  const { specs, ...rest } = measuring!
  const loaded = await readRowsSpec(data, specs)
  const copied = Object.entries(files).map(([path, sha256]) => [path, { from: join(folder, path), sha256 }] as const)
  const answer = async (rows: GoldenRows['rows']) => {
    const probabilities = await askNumbers(source, manifest, rows)
    return { rows, probabilities, served: servedOf(manifest, probabilities), tolerance: 1e-5 }
  }
  const bundle = { manifest, files: Object.fromEntries(copied) }
  const own = golden === undefined ? answer : undefined
  const measured = await measure(bundle, { loaded, models, ...rest }, own)
  if (own)
    found.push(`${measured.manifest.golden!.rows.length} golden rows of ${basename(data)}, answered by this graph`)
  const judged = measured.report.tasks.map(({ name }) => name)
  const others = [...manifest.tasks, ...manifest.derived]
    .map(({ name }) => name)
    .filter((name) => !judged.includes(name))
  if (others.length > 0) left.push(`the rows of ${basename(data)} have no labels of ${others.join(', ')}: not judged`)
  found.push(`quality, drift reference, rows for quantization and evaluation report: of ${basename(data)}`)
  return measured
}

/** The advice on a version that was never judged on rows. */
const unjudged = (name: string) =>
  `quality, /drift, /quantization and the evaluation report: rows with labels (--data rows.yaml), or later multigate calibrate ${name} --data rows.yaml and multigate quantize ${name} --data rows.yaml`

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

function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

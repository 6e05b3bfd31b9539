import { ModelError, reasonOf } from '../../../base/errors.ts'
import { BuiltInArchitecture } from '../../../model/graph/architectures/table.ts'
import type { ArchitectureOptions } from '../../../schemas/architecture.ts'
import { check } from '../../../schemas/check.ts'
import { KerasObject } from '../../../schemas/import.ts'
import { isObject } from '../../../schemas/json.ts'
import type { ProblemItem } from '../../../schemas/problem.ts'
import { readKerasArchive } from './archive.ts'
import { blocksOf } from './blocks.ts'
import { classNames } from './class-weights.ts'
import { check as checkObject, invalid, readGraph } from './graph.ts'
import { graphModel } from './graph-model.ts'
import { type Hdf5File, largestHdf5, readHdf5, readStart, readWhole } from './hdf5.ts'
import type { ImportedModel } from './imported-model.ts'
import { inputsOf } from './inputs.ts'
import { layerWeights } from './layer-weights.ts'
import { type ClassHints, recognise } from './recognise.ts'

/** Keys that Keras writes for every model; none is an option of a class. */
const ofEveryModel = ['name', 'trainable', 'dtype', 'num_tasks', 'num_emb']

/**
 * Reads a file saved by Keras: a `.keras` archive, or an HDF5 file with weights or a complete model.
 *
 * `stated` describes a model whose file contains only weights. Rejects with INVALID_BUNDLE, UNSUPPORTED_GRAPH or
 * INVALID_REQUEST, naming the file and the place in it.
 */
export async function openKeras(path: string, stated: ClassHints | undefined): Promise<ImportedModel> {
  const kind = await kindOf(path)
  if (kind === 'hdf5') return openHdf5(path, stated)
  const { config: text, weights } = await readKerasArchive(path)
  const config = checkObject(KerasObject, parseJson(text, `${path}: config.json`), `${path}: config.json`)
  const read = () => readHdf5(weights, `${path}: model.weights.h5`)
  if (!Object.hasOwn(classNames, config.class_name)) {
    refuseHints(stated, path)
    return openGraph(config, `${path}: config.json`, read)
  }
  const hints = merge(hintsOf(config, `${path}: config.json`), stated, path)
  return openClass(await read(), hints)
}

async function openHdf5(path: string, stated: ClassHints | undefined): Promise<ImportedModel> {
  const file = await readHdf5(await readWhole(path, largestHdf5), path)
  const config = file.attributes.get('')?.model_config
  if (config === undefined) return openClass(file, stated ?? { options: {} })
  refuseHints(stated, path)
  const where = `${path}: /model_config`
  const parsed = checkObject(KerasObject, parseJson(String(config), where), where)
  return openGraph(parsed, where, async () => file, 'model_weights')
}

async function openGraph(
  config: KerasObject,
  where: string,
  read: () => Promise<Hdf5File>,
  below?: string,
): Promise<ImportedModel> {
  if (!['Functional', 'Model', 'Sequential'].includes(config.class_name))
    throw new ModelError(
      'UNSUPPORTED_GRAPH',
      `${where}: the class ${config.class_name} is custom Python code, which the file does not contain; supported are functional and sequential models, and ${Object.keys(classNames).join(', ')}`,
    )
  const model = readSafely(() => readGraph(config, where), where)
  const columns = readSafely(() => inputsOf(model), where)
  return graphModel(model, columns, layerWeights(model, await read(), below))
}

/** Very deep nesting overflows the stack. */
function readSafely<T>(read: () => T, where: string): T {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof ModelError) throw cause
    throw new ModelError('INVALID_BUNDLE', `${where}: can't be read: ${reasonOf(cause)}`, { cause })
  }
}

async function openClass(weights: Hdf5File, hints: ClassHints): Promise<ImportedModel> {
  const { file } = weights
  const model = recognise(blocksOf(weights), hints, file)
  // Needs TensorFlow.js, which is optional.
  const { classModel } = await import('./class-model.ts')
  return classModel({ ...model, options: checkOptions(model.options, file) }, file)
}

/** The arguments of the class. */
function hintsOf({ class_name, config }: KerasObject, where: string): ClassHints {
  const name = classNames[class_name]!
  const { properties } = BuiltInArchitecture.anyOf.find(({ properties }) => properties.name.const === name)!
  const options: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(config)) {
    if (ofEveryModel.includes(key)) continue
    if (!Object.hasOwn(properties, key))
      throw new ModelError('UNSUPPORTED_GRAPH', `${where}: ${class_name} has the option ${key}, which is not supported`)
    options[key] = value
  }
  const count = (key: string) => (typeof config[key] === 'number' ? config[key] : undefined)
  return { name, options, num_tasks: count('num_tasks'), num_emb: count('num_emb') }
}

function merge(own: ClassHints, stated: ClassHints | undefined, path: string): ClassHints {
  if (stated?.name !== undefined && stated.name !== own.name)
    throw new ModelError('INVALID_REQUEST', `${path} is a ${own.name}, not a ${stated.name}`)
  const options = { ...own.options }
  for (const [option, value] of Object.entries(stated?.options ?? {})) {
    if (options[option] !== undefined && options[option] !== value)
      throw new ModelError('INVALID_REQUEST', `${path} has ${option}=${options[option]}, not ${option}=${value}`)
    options[option] = value
  }
  return { ...own, options, sparseFields: stated?.sparseFields }
}

function refuseHints(stated: ClassHints | undefined, path: string): void {
  if (stated !== undefined)
    throw new ModelError(
      'INVALID_REQUEST',
      `${path} contains its complete graph; --architecture is only for the classes ${Object.keys(classNames).join(', ')}`,
    )
}

function checkOptions(options: unknown, file: string): ArchitectureOptions {
  const problems: ProblemItem[] = []
  const checked = check(BuiltInArchitecture, options, '', problems) as ArchitectureOptions
  if (problems.length > 0) throw invalid(file, problems.map(({ path, message }) => `${path} ${message}`).join('; '))
  return checked
}

async function kindOf(path: string): Promise<'zip' | 'hdf5'> {
  const start = Buffer.from(await readStart(path, 8))
  if (start.subarray(0, 2).toString('latin1') === 'PK') return 'zip'
  if (start.toString('latin1') === '\x89HDF\r\n\x1a\n') return 'hdf5'
  throw new ModelError('INVALID_BUNDLE', `${path} is neither a .keras archive nor an HDF5 file`)
}

function parseJson(text: string, where: string): unknown {
  try {
    const parsed: unknown = JSON.parse(text)
    if (isObject(parsed)) return parsed
  } catch (cause) {
    throw new ModelError('INVALID_BUNDLE', `${where} is not JSON: ${reasonOf(cause)}`, { cause })
  }
  throw new ModelError('INVALID_BUNDLE', `${where} is not a JSON object`)
}

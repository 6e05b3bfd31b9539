import { readFile, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { ModelError } from '../../base/errors.ts'
import { standardNormal } from '../../base/hash.ts'
import type { GraphSource, Signature } from '../../model/contracts/engine.ts'
import { createOnnxEngine } from '../../model/engines/onnx/onnx.ts'
import { optimise } from '../../model/graph/compile/optimise.ts'
import type { PrepareRequest } from '../../model/graph/compile/prepare-request.ts'
import { externalFiles } from '../../model/graph/ir/external-data.ts'
import { readGraph } from '../../model/graph/lower/read-graph.ts'
import { type LookedUp, lookedUpInputs } from '../../model/graph/sides/side-columns.ts'
import type { Side, Sides } from '../../model/graph/sides/split-graphs.ts'
import { type QuantizationRows, readQuantizationRows } from '../../model/serving/bundle/quantization.ts'
import type { Bundle } from '../../model/serving/bundle/read.ts'
import { type Layout, layoutOf } from '../../model/serving/features/layout.ts'
import { bindingsOf } from '../../model/serving/prediction/bindings.ts'
import { wantsRounding } from '../../model/serving/prediction/describe-plan.ts'
import { describeGraph, outputsOf, savedGraph } from '../../model/serving/prediction/load-graph.ts'
import { findBundle, missingModel } from '../../model/serving/version/read-version.ts'
import { type ColumnChoice, checkColumns } from './columns.ts'
import { type Draw, drawRows, idDraw, type ListColumns, sampleDraw, type TargetInput } from './rows.ts'

/** A saved graph to compile or measure, with random requests for it. */
export interface Target {
  /** For people: `ads-funnel/1`, `prod.onnx`. */
  name: string
  /** The request that a server gives to the compiler. */
  request: Omit<PrepareRequest, 'cache' | 'now'>
  inputs: TargetInput[]
  /** Rows for int8: the version's own, or random ones, which can't verify it. */
  quantization: PrepareRequest['quantization']
  verified: boolean
}

export interface TargetOptions {
  /** Folder of models, for models given by name. */
  models: string
  /** Context and cross columns of a graph without a manifest. */
  context?: ColumnChoice | undefined
  cross?: ColumnChoice | undefined
  /** Output of a graph without a manifest; default: its only output. */
  output?: string | undefined
  /** Uniform over [0, 1). */
  random: () => number
}

/** Number of random rows without quantization rows: half of them set int8's scales, half measure its loss. */
const drawnRows = 2048

/**
 * Opens a bundle (the folder of a version or model, or a model's name) or an ONNX file.
 *
 * Rejects with ModelError if it can't be read or an option does not fit it.
 */
export async function openTarget(path: string, options: TargetOptions): Promise<Target> {
  if (extname(path) === '.onnx') {
    const [folder, file] = [dirname(resolve(path)), basename(path)]
    return openGraph({ folder, format: 'onnx', file, outputs: [] }, file, await identityOf(folder, file), options)
  }
  const bundle = await findBundle(path, options.models)
  if (bundle === undefined)
    throw new ModelError(
      'MODEL_NOT_FOUND',
      await missingModel(path, [options.models], 'an ONNX file, the folder of a model or version,'),
    )
  const { name, version } = bundle.manifest
  if (bundle.manifestless) {
    const identity = JSON.stringify(bundle.manifest.files)
    return openGraph(savedGraph(bundle, outputsOf(bundle.manifest)), `${name}/${version}`, identity, options)
  }
  for (const option of ['context', 'cross', 'output'] as const)
    if (options[option] !== undefined)
      throw new ModelError('INVALID_REQUEST', `--${option} is only for graphs without a manifest`)
  return openBundle(bundle, options.random)
}

async function openBundle(bundle: Bundle, random: () => number): Promise<Target> {
  const { manifest } = bundle
  const rows = await readQuantizationRows(bundle)
  const described = describeGraph(manifest, rows)
  const bindings = bindingsOf(manifest)
  const layout = layoutOf(manifest)
  const inputs: TargetInput[] = []
  const add = (part: 'sparse' | 'dense', dtype: TargetInput['dtype'], drawn: Draw[]) => {
    const name = bindings[part]
    if (name === undefined) return
    const draws = drawn.map((draw, column) => columnOf(rows, part, column, drawn.length) ?? draw)
    // Rows have the lengths that lists have.
    const lists = rows === undefined ? listsOf(layout, part) : []
    inputs.push({ name, dtype, sides: [...described.sides![name]!], draws, lists })
  }
  add(
    'sparse',
    'int32',
    layout.sparse.map(({ offset, ids }) => idDraw(offset, ids)),
  )
  add(
    'dense',
    'float32',
    layout.dense.map(() => standardNormal),
  )
  const source = savedGraph(bundle, outputsOf(manifest))
  return {
    name: `${manifest.name}/${manifest.version}`,
    // As servers do, which read the rows only where they are needed.
    request: { source, ...described, quantization: wantsRounding(manifest) ? described.quantization : undefined },
    inputs,
    quantization:
      described.quantization ??
      drawQuantization(
        inputs,
        manifest.tasks.map(({ name }) => name),
        random,
      ),
    verified: rows !== undefined,
  }
}

/** The columns of lists among those of ids, or of numbers. */
function listsOf({ groups }: Layout, part: 'sparse' | 'dense'): ListColumns[] {
  return groups.flatMap((group) => {
    if (group.exact) return []
    const columns = group.members.flatMap(({ sparse, column, padding, weights }) => [
      { sparse, column, padding },
      ...(weights === undefined ? [] : [{ sparse: false, column: weights, padding: 0 }]),
    ])
    return columns
      .filter(({ sparse }) => sparse === (part === 'sparse'))
      .map(({ column, padding }) => ({ column, width: group.max, padding, sequence: group }))
  })
}

function columnOf(
  rows: QuantizationRows | undefined,
  part: 'sparse' | 'dense',
  column: number,
  width: number,
): Draw | undefined {
  if (rows === undefined) return undefined
  return sampleDraw(Float64Array.from({ length: rows.rows }, (_, row) => rows[part][row * width + column]!))
}

/** Identifies an ONNX file and the files of its weights by their sizes and when they were written. */
async function identityOf(folder: string, file: string): Promise<string> {
  const path = join(folder, file)
  const bytes = await readFile(path).catch(() => undefined)
  // A file that is missing, or no ONNX file, is reported when it is opened.
  const beside = bytes === undefined ? [] : filesBeside(bytes)
  const described = [path, ...beside.map((name) => join(folder, name))].map(async (path) => {
    const found = await stat(path).catch(() => undefined)
    return [path, found?.size, found?.mtimeMs]
  })
  return JSON.stringify(await Promise.all(described))
}

function filesBeside(bytes: Uint8Array): string[] {
  try {
    return externalFiles(bytes)
  } catch {
    return []
  }
}

/** A graph without a manifest; `name` is for people, `identity` changes with the graph and its weights. */
async function openGraph(
  saved: GraphSource,
  name: string,
  identity: string,
  { context, cross, output = saved.outputs[0], random }: TargetOptions,
): Promise<Target> {
  const graph = await readGraph(saved, output)
  const source: GraphSource = { ...saved, outputs: [graph.outputs[0]!.name] }
  const signature = await signatureOf(source)
  // A graph that can't be compiled can still be measured, without its ids' ranges.
  const optimised = await optimise(graph).then(
    () => graph,
    () => undefined,
  )
  const lookedUp = optimised === undefined ? new Map<string, LookedUp>() : lookedUpInputs(optimised)
  const inputs = signature.inputs.map(({ name, dtype, width }) => ({
    name,
    dtype,
    sides: new Array<Side>(width).fill('candidate'),
    draws: drawsOf(lookedUp.get(name), dtype, width),
  }))
  const widths = inputs.map(({ name, sides }) => ({ name, width: sides.length }))
  for (const [side, choice] of [
    ['context', context],
    ['cross', cross],
  ] as const) {
    if (choice === undefined) continue
    checkColumns(choice, widths, `--${side}`)
    for (const { name, sides } of inputs)
      for (const column of choice[name] ?? []) {
        if (sides[column] !== 'candidate')
          throw new ModelError('INVALID_REQUEST', `--${side}: column ${column} of ${name} is named twice`)
        sides[column] = side
      }
  }
  const sides: Sides = Object.fromEntries(inputs.map(({ name, sides }) => [name, sides]))
  const tasks = Array.from({ length: signature.outputs[0]!.width }, (_, task) => `task_${task}`)
  return {
    name,
    request: {
      source,
      output: source.outputs[0]!,
      sides,
      fields: {},
      precision: 'float32',
      quantization: undefined,
      identity,
    },
    inputs,
    quantization: drawQuantization(inputs, tasks, random),
    verified: false,
  }
}

async function signatureOf(source: GraphSource): Promise<Signature> {
  const engine = await createOnnxEngine({ threads: 1 })
  const loaded = await engine.load(source)
  await loaded.close()
  return loaded.signature
}

/** Draws ids for columns with a table, otherwise numbers. */
function drawsOf(lookedUp: LookedUp | undefined, dtype: TargetInput['dtype'], width: number): Draw[] {
  return Array.from({ length: width }, (_, column) => {
    const ids = lookedUp?.rows.get(column)
    if (ids !== undefined) return idDraw(0, ids)
    return dtype === 'int32' ? idDraw(0, 1) : standardNormal
  })
}

function drawQuantization(
  inputs: TargetInput[],
  tasks: string[],
  random: () => number,
): PrepareRequest['quantization'] {
  const part = () => ({ rows: drawnRows / 2, inputs: drawRows(inputs, drawnRows / 2, random) })
  return { scales: part(), judged: { ...part(), labels: undefined, tasks } }
}

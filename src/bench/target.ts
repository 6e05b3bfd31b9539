import { stat } from 'node:fs/promises'
import { basename, dirname, extname, resolve } from 'node:path'
import { ModelError } from '../model/base/errors.ts'
import { standardNormal } from '../model/base/random.ts'
import { type QuantizationRows, readQuantizationRows } from '../model/bundle/quantization.ts'
import type { Bundle } from '../model/bundle/read.ts'
import { optimise } from '../model/compile/optimise.ts'
import type { PrepareRequest } from '../model/compile/prepare-request.ts'
import type { Side, Sides } from '../model/compile/sides/contract.ts'
import { tableRows } from '../model/compile/sides/table-rows.ts'
import type { GraphSource, Signature } from '../model/contracts/engine.ts'
import { createOnnxEngine } from '../model/engines/onnx/onnx.ts'
import { layoutOf } from '../model/features/layout.ts'
import type { Graph } from '../model/graph/graph.ts'
import { readGraph } from '../model/lower/read-graph.ts'
import { bindingsOf } from '../model/prediction/bindings.ts'
import { describeGraph, outputsOf, savedGraph } from '../model/prediction/load-graph.ts'
import { findBundle } from '../model/version/open-version.ts'
import { type ColumnChoice, checkColumns } from './columns.ts'
import { type Draw, drawRows, idDraw, sampleDraw, type TargetInput } from './rows.ts'

/** A saved graph to be compiled or measured, and how to make up requests for it. */
export interface Target {
  /** For people: `ads-funnel/1`, `prod.onnx`. */
  name: string
  /** What serving would ask the compiler. */
  request: Omit<PrepareRequest, 'cache' | 'now'>
  inputs: TargetInput[]
  /** Rows for int8: its own, so that it can be judged, or drawn ones. */
  quantization: PrepareRequest['quantization']
  verified: boolean
}

export interface TargetOptions {
  /** Folder of the models that have names. */
  models: string
  /** Which columns belong to the context, and to neither side alone, of a graph without a manifest. */
  context: ColumnChoice | undefined
  cross: ColumnChoice | undefined
  /** Output of a graph without a manifest; default: its only one. */
  output: string | undefined
  /** Uniform over [0, 1). */
  random: () => number
}

/** Rows that are drawn where there are no quantization rows: half of them set int8's scales, half compare. */
const drawnRows = 2048

/**
 * Opens a bundle (the folder of a version or of a model, or a model's name) or an ONNX file.
 *
 * Rejects with ModelError where it can't be read, or an option names what isn't there.
 */
export async function openTarget(path: string, options: TargetOptions): Promise<Target> {
  if (extname(path) === '.onnx') {
    const [folder, file] = [dirname(resolve(path)), basename(path)]
    return openBare({ folder, format: 'onnx', file, outputs: [] }, file, options)
  }
  const bundle = await findBundle(path, options.models)
  if (bundle === undefined)
    throw new ModelError(
      'MODEL_NOT_FOUND',
      `${path} is no ONNX file, no folder of a model or version, and no model in ${options.models}`,
    )
  const { name, version } = bundle.manifest
  if (bundle.manifestless)
    return openBare(savedGraph(bundle, outputsOf(bundle.manifest)), `${name}/${version}`, options)
  for (const option of ['context', 'cross', 'output'] as const)
    if (options[option] !== undefined)
      throw new ModelError('INVALID_REQUEST', `--${option} is for graphs without a manifest, which says it`)
  return openBundle(bundle, options.random)
}

async function openBundle(bundle: Bundle, random: () => number): Promise<Target> {
  const { manifest } = bundle
  const rows = await readQuantizationRows(bundle)
  const described = describeGraph(manifest, rows)
  const { sparse, dense } = bindingsOf(manifest)
  const layout = layoutOf(manifest)
  const width = { sparse: layout.sparse.length, dense: layout.dense.length }
  const inputs: TargetInput[] = []
  const add = (name: string, dtype: TargetInput['dtype'], draws: Draw[]) =>
    inputs.push({ name, dtype, sides: [...described.sides![name]!], draws })
  if (sparse !== undefined)
    add(
      sparse,
      'int32',
      layout.sparse.map(
        ({ offset, ids }, column) => columnOf(rows, 'sparse', column, width.sparse) ?? idDraw(offset, ids),
      ),
    )
  if (dense !== undefined)
    add(
      dense,
      'float32',
      layout.dense.map((_, column) => columnOf(rows, 'dense', column, width.dense) ?? standardNormal),
    )
  const source = savedGraph(bundle, outputsOf(manifest))
  return {
    name: `${manifest.name}/${manifest.version}`,
    // Serving reads the rows where int8 is asked for.
    request: { source, ...described, quantization: manifest.precision === 'int8' ? described.quantization : undefined },
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

function columnOf(
  rows: QuantizationRows | undefined,
  part: 'sparse' | 'dense',
  column: number,
  width: number,
): Draw | undefined {
  if (rows === undefined) return undefined
  return sampleDraw(Float64Array.from({ length: rows.rows }, (_, row) => rows[part][row * width + column]!))
}

/** A graph without a manifest; `name` is for people. */
async function openBare(
  saved: GraphSource,
  name: string,
  { context, cross, output = saved.outputs[0], random }: TargetOptions,
): Promise<Target> {
  const graph = await readGraph(saved, output)
  const source: GraphSource = { ...saved, outputs: [graph.outputs[0]!.name] }
  const signature = await signatureOf(source)
  // What can't be compiled can be measured all the same; of its ids nothing is known then.
  const optimised = await optimise(graph).then(
    () => graph,
    () => undefined,
  )
  const inputs = signature.inputs.map(({ name, dtype, width }) => ({
    name,
    dtype,
    sides: new Array<Side>(width).fill('candidate'),
    draws: drawsOf(optimised, name, dtype, width),
  }))
  const known = inputs.map(({ name, sides }) => ({ name, width: sides.length }))
  for (const [side, choice] of [
    ['context', context],
    ['cross', cross],
  ] as const) {
    if (choice === undefined) continue
    checkColumns(choice, known, `--${side}`)
    for (const { name, sides } of inputs)
      for (const column of choice[name] ?? []) {
        if (sides[column] !== 'candidate')
          throw new ModelError('INVALID_REQUEST', `--${side}: column ${column} of ${name} is named twice`)
        sides[column] = side
      }
  }
  const sides: Sides = Object.fromEntries(inputs.map(({ name, sides }) => [name, sides]))
  const tasks = Array.from({ length: signature.outputs[0]!.width }, (_, task) => `task_${task}`)
  const path = resolve(saved.folder, saved.file)
  const { size, mtimeMs } = await stat(path)
  return {
    name,
    request: {
      source,
      output: source.outputs[0]!,
      sides,
      fields: {},
      precision: 'float32',
      quantization: undefined,
      identity: JSON.stringify([path, size, mtimeMs]),
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

/** Ids where a table is looked up, else values. */
function drawsOf(graph: Graph | undefined, input: string, dtype: TargetInput['dtype'], width: number): Draw[] {
  const rows = graph === undefined ? new Map<number, number>() : tableRows(graph, input)
  return Array.from({ length: width }, (_, column) => {
    const ids = rows.get(column)
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

import { product } from '../../../base/arrays.ts'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import type { GraphSource } from '../../contracts/engine.ts'
import type { OutputValues, SavedOutput, SavedSignature, SavedTensor } from '../../contracts/saved-signature.ts'
import { optimise } from '../../graph/compile/optimise.ts'
import { intAttribute } from '../../graph/ir/attributes.ts'
import { dtypeOf, isBatched, sidesOf } from '../../graph/ir/declared.ts'
import { fixLengths } from '../../graph/ir/free-lengths.ts'
import type { Graph } from '../../graph/ir/graph.ts'
import { TensorProto_DataType as DataType, type NodeProto, type ValueInfoProto } from '../../graph/ir/onnx_pb.ts'
import { traceShapes } from '../../graph/ir/shapes.ts'
import { signatureOfProgram } from '../../graph/lower/program-signature.ts'
import { openGraph, readNodes } from '../../graph/lower/read-graph.ts'
import { type LookedUp, lookedUpInputs } from '../../graph/sides/side-columns.ts'
import { usesOfInputs } from './input-uses.ts'
import { raggedInputs, raggedProblem } from './ragged-inputs.ts'

/**
 * The inputs that a saved graph wants and the outputs that it answers, whatever its format; with `uses`, also what it
 * does with each input. Rejects like Engine.load, with UNSUPPORTED_GRAPH for inputs that have no free batch, or whose
 * width is neither fixed nor that of a list of any length.
 */
export async function survey(source: GraphSource, { uses = false } = {}): Promise<SavedSignature> {
  let graph: Graph
  try {
    graph = await openGraph(source)
  } catch (error) {
    await refuseRagged(source, error)
    const isTensorflow = source.format === 'saved_model' || source.format === 'graph_model'
    if (!isTensorflow || !(error instanceof ModelError) || error.code !== 'UNSUPPORTED_GRAPH') throw error
    // Another engine may compute it.
    return await signatureOfProgram(source)
  }
  checkNames(graph, source.file)
  tidy(graph, source.file)
  const unsupported = (what: string) => new ModelError('UNSUPPORTED_GRAPH', `${source.file}: ${what}`)
  const ragged = raggedInputs(graph)
  if (ragged !== undefined) throw unsupported(raggedProblem(ragged))
  const free = fixLengths(graph)
  await learnOutputs(graph)
  const tables = await learnTables(graph)
  const inputs = graph.inputs.map((input): SavedTensor => {
    const { name } = input
    const dims = sidesOf(graph, input)
    if (!isBatched(input)) throw unsupported(`the input ${name} ${fixedRows}`)
    if (dims === undefined) throw unsupported(`the input ${name} has no fixed width`)
    const width = product(dims)
    if (width > widestInput) throw unsupported(`the input ${name} is ${width} wide, more than ${widestInput}`)
    const whole = smallestTable(graph, name)
    const found = tables.get(name)
    const ids = Array.from({ length: width }, (_, column) => whole ?? found?.rows.get(column))
    const shared = whole !== undefined || (found?.tables.size === 1 && ids.every((one) => one !== undefined))
    const columns = free.has(name) ? { dims: [-1], ids: ids.slice(0, 1) } : { dims, ids }
    return { name, dtype: nameOf(input), ...columns, shared }
  })
  if (uses) {
    const found = await usesOfInputs(graph, tables)
    for (const input of inputs) input.use = found.get(input.name)!
  }
  const values = outputValues(graph)
  const outputs = graph.outputs.flatMap((output): SavedOutput[] => {
    const dims = sidesOf(graph, output)
    if (dims === undefined || !isPerRow(graph, output)) return []
    const { name } = output
    return [{ name, dtype: nameOf(output), dims, ids: [], shared: false, values: values.get(name) }]
  })
  const maps = graph.outputs.find(isMaps)
  if (maps && !outputs.some(({ dtype }) => dtype === 'float32'))
    throw unsupported(`the output ${maps.name} is a sequence of maps, not a tensor: export it with zipmap=False`)
  const mixed = graph.outputs.find((output) => !isPerRow(graph, output))
  if (mixed && outputs.length === 0)
    throw unsupported(
      `the output ${mixed.name} has the shape ${shapeOf(graph, mixed.name)}, not one row for each row of the inputs`,
    )
  return { inputs, outputs }
}

/** Lists of any length are added up in loops, because of which a graph can't be read. */
async function refuseRagged(source: GraphSource, error: unknown): Promise<void> {
  if (source.format !== 'onnx' || !(error instanceof ModelError) || error.code !== 'UNSUPPORTED_GRAPH') return
  const ragged = raggedInputs(await readNodes(source))
  if (ragged !== undefined) throw new ModelError('UNSUPPORTED_GRAPH', `${source.file}: ${raggedProblem(ragged)}`)
}

const fixedRows =
  'has a fixed number of rows, or none: export it with a free first dimension (dynamic_axes or dynamic_shapes in PyTorch)'

/** Wider inputs are no features. */
const widestInput = 65_536

/** Whether an output is what ZipMap makes: a map of class and probability for each row. */
function isMaps({ type }: ValueInfoProto): boolean {
  return type?.value.case === 'sequenceType' && type.value.value.elemType?.value.case === 'mapType'
}

/** As many as a manifest can name. */
const mostTensors = 4096

function checkNames({ inputs, outputs }: Graph, file: string): void {
  for (const [what, tensors] of [
    ['input', inputs],
    ['output', outputs],
  ] as const) {
    const names = tensors.map(({ name }) => name)
    if (names.length > mostTensors)
      throw new ModelError('UNSUPPORTED_GRAPH', `${file}: it has ${names.length} ${what}s, more than ${mostTensors}`)
    const twice = names.find((name, i) => names.indexOf(name) < i)
    if (twice !== undefined) throw new ModelError('INVALID_BUNDLE', `${file}: two ${what}s are called ${twice}`)
    if (names.includes('__proto__') || names.includes(''))
      throw new ModelError('UNSUPPORTED_GRAPH', `${file}: an ${what} must have a name, and not __proto__`)
  }
}

function tidy(graph: Graph, file: string): void {
  try {
    graph.tidy()
  } catch (cause) {
    throw new ModelError('INVALID_BUNDLE', `${file}: ${reasonOf(cause)}`, { cause })
  }
}

/** Whether an output has one row per row of the inputs, as far as is known. */
function isPerRow(graph: Graph, { name }: ValueInfoProto): boolean {
  const shape = graph.shapes.get(name)
  return shape === undefined ? !graph.constants.has(name) : shape.dims[0] === -1
}

/** `[2]`, `[1, rows]` */
function shapeOf(graph: Graph, name: string): string {
  const dims = graph.shapes.get(name)?.dims ?? graph.dimsOf(name)!
  return `[${dims.map((side) => (side === -1 ? 'rows' : side < 0 ? `${-side} × rows` : side)).join(', ')}]`
}

/**
 * Outputs are often declared without their width, or with the number of rows of an example: then the graph is run on
 * zeros.
 */
async function learnOutputs(graph: Graph): Promise<void> {
  if (graph.outputs.every((output) => isBatched(output) && sidesOf(graph, output) !== undefined)) return
  // Operators that can't run here are reported at load.
  await traceShapes(graph).catch(() => undefined)
}

/**
 * Tables behind more than plain look-ups, as Keras 3 writes them, which counts negative ids from a table's end: the
 * compiler's passes see through them.
 */
async function learnTables(graph: Graph): Promise<Map<string, LookedUp>> {
  const lookedUp = graph.nodes.some(({ opType, input }) => opType === 'Gather' && graph.constants.has(input[0]!))
  if (!lookedUp || graph.inputs.every(({ name }) => smallestTable(graph, name) !== undefined)) return new Map()
  const optimised = graph.copy()
  try {
    await optimise(optimised)
    return lookedUpInputs(optimised)
  } catch {
    // A graph that can't be compiled is served unchanged, its ids unchecked.
    return new Map()
  }
}

const names = new Map<number, string>([
  [DataType.FLOAT, 'float32'],
  [DataType.DOUBLE, 'float64'],
  [DataType.FLOAT16, 'float16'],
  [DataType.INT8, 'int8'],
  [DataType.INT16, 'int16'],
  [DataType.INT32, 'int32'],
  [DataType.INT64, 'int64'],
  [DataType.UINT8, 'uint8'],
  [DataType.BOOL, 'bool'],
  [DataType.STRING, 'string'],
])

function nameOf(tensor: ValueInfoProto): string {
  return names.get(dtypeOf(tensor)) ?? '?'
}

/** Operators that keep every id and its position; only the compiler follows columns that are taken apart. */
const passing = new Set(['Cast', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten'])

/** Rows of the smallest table that a whole input is looked up in. */
function smallestTable(graph: Graph, input: string): number | undefined {
  let smallest: number | undefined
  const seen = new Set<string>()
  const open = [input]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    for (const node of graph.users(name)) {
      if (passing.has(node.opType) && node.input[0] === name) open.push(...node.output)
      else if (node.opType === 'Gather' && node.input[1] === name && intAttribute(node, 'axis', 0) === 0) {
        const rows = graph.dimsOf(node.input[0]!)?.[0]
        if (rows !== undefined) smallest = Math.min(rows, smallest ?? rows)
      }
    }
  }
  return smallest
}

const probabilities = new Set(['Sigmoid', 'HardSigmoid', 'Softmax'])
const products = new Set(['Gemm', 'MatMul', 'Einsum', 'Conv'])

/** Operators whose values are those of their operands, in another place or added up. */
const keepsValues = new Set(
  [
    'Identity Cast Dropout Reshape Flatten Squeeze Unsqueeze Transpose Slice Split Gather Concat Expand',
    'Add Sub Mul Div Sum Mean ReduceSum ReduceMean',
  ].flatMap((names) => names.split(' ')),
)

/** Operators of which only the first operand has values. */
const shaping = new Set(['Reshape', 'Squeeze', 'Unsqueeze', 'Slice', 'Split', 'Gather', 'Expand', 'ReduceSum', 'Div'])

/**
 * Whether the tensors of a tidy graph hold probabilities or logits, by name: what comes from a sigmoid or softmax, or
 * from a product that none follows. Without those of which operators leave it open.
 */
export function outputValues(graph: Graph): Map<string, OutputValues> {
  const known = new Map<string, OutputValues>()
  for (const node of graph.nodes) {
    const values = node.domain === '' ? valuesOf(graph, node, known) : undefined
    if (values !== undefined) for (const name of node.output) known.set(name, values)
  }
  return known
}

function valuesOf(graph: Graph, node: NodeProto, known: ReadonlyMap<string, OutputValues>): OutputValues {
  if (probabilities.has(node.opType)) return 'probabilities'
  if (products.has(node.opType)) return 'logits'
  if (!keepsValues.has(node.opType)) return undefined
  const operands = (shaping.has(node.opType) ? node.input.slice(0, 1) : node.input).filter(
    (name) => name !== '' && !graph.constants.has(name),
  )
  const [first, ...others] = operands.map((name) => known.get(name))
  if (others.every((other) => other === first)) return first
  // Experts that gates weight.
  return node.opType === 'Mul' && [first, ...others].every((values) => values !== undefined) ? 'logits' : undefined
}

import { create } from '@bufbuild/protobuf'
import { ModelError, reasonOf } from '../../../base/errors.ts'
import { isTable, largeTable } from '../ir/external-data.ts'
import { unsupportedIn } from '../ir/file-errors.ts'
import { Graph } from '../ir/graph.ts'
import { markIds } from '../ir/ids.ts'
import { TensorProtoSchema, type ValueInfoProto, ValueInfoProtoSchema } from '../ir/onnx_pb.ts'
import type { Application, Operator } from './tensorflow/application.ts'
import { type FlatGraph, type FlatNode, flatten } from './tensorflow/flatten.ts'
import { foldConstants } from './tensorflow/fold-constants.ts'
import { GraphWriter } from './tensorflow/graph-writer.ts'
import { idInputs } from './tensorflow/id-inputs.ts'
import { elementwise } from './tensorflow/operators/elementwise.ts'
import { gathering } from './tensorflow/operators/gathering.ts'
import { products } from './tensorflow/operators/products.ts'
import { shapes } from './tensorflow/operators/shape.ts'
import { slicing } from './tensorflow/operators/slicing.ts'
import { sources } from './tensorflow/operators/sources.ts'
import type { Argument, Program } from './tensorflow/program.ts'
import { type ElementType, elementTypeOf, nameOfType, newBudget, onnxTypeOf } from './tensorflow/tensor-data.ts'
import { isKnown, type Side, type Value } from './tensorflow/value.ts'

/** Protobuf's limit for one message, which applies to ONNX graphs. */
const mostBytes = 2 ** 31 - 1

/**
 * Lowers a TensorFlow program to an ONNX graph, operator by operator, with constants folded. Inputs and outputs are
 * those of its signature, named by their keys; a first dimension of −1 is the batch. Large tables stay in their files,
 * relative to `folder`.
 *
 * Rejects with UNSUPPORTED_GRAPH, naming the file, the node and its operator, and with INVALID_BUNDLE for damaged
 * graphs and weights.
 */
export async function lowerProgram(program: Program, folder: string): Promise<Graph> {
  const flat = flatten(program)
  const inputs = new Map(program.inputs.map((argument) => [nodeOf(argument), inputOf(argument, program)]))
  const declared = [...inputs.values()].map((value) => declare(value.name!, value.type, value.dims))
  const graph = Graph.create(declared, folder)
  for (const { name, type, dims } of inputs.values())
    if (isKnown(dims)) graph.shapes.set(name!, { dtype: onnxTypeOf(type), dims: [...dims] })
  markIds(graph, idInputs(program, flat))
  const writer = new GraphWriter(graph, program)
  writeNodes(flat, inputs, graph, program, writer)
  graph.tidy()
  await readStored(graph, program, writer)
  await foldConstants(graph)
  return graph
}

function writeNodes(
  flat: FlatGraph,
  inputs: Map<string, Value>,
  graph: Graph,
  program: Program,
  writer: GraphWriter,
): void {
  // Reserves the names of outputs.
  for (const { key } of program.outputs)
    if (key === '' || graph.fresh(key) !== key)
      throw unsupportedIn(program.file, `two inputs or outputs are named ${JSON.stringify(key)}`)
  const operators: Record<string, Operator> = {
    ...elementwise,
    ...gathering,
    ...products,
    ...shapes,
    ...slicing,
    ...sources(inputs, newBudget()),
  }
  const values = new Map<FlatNode, Value[]>()
  for (const node of flat.nodes) {
    const given = node.inputs.map(({ node: before, output }) => answerOf(values, before, output, program))
    const application = writer.applicationOf(node, given)
    const operator = Object.hasOwn(operators, node.op) ? operators[node.op] : undefined
    if (operator === undefined) throw application.fail('this operator is not supported')
    values.set(node, apply(operator, application))
  }
  for (const argument of program.outputs) {
    const { node, output } = flat.outputs.get(argument.key)!
    const value = answerOf(values, node, output, program)
    graph.node('Identity', [writer.nameOf(value)], { outputs: [argument.key] })
    const dims = value.dims?.map((side, i) => side ?? sideOf(argument.shape, i))
    const all = dims ?? argument.shape?.map((_, i) => sideOf(argument.shape, i))
    if (isKnown(all)) graph.shapes.set(argument.key, { dtype: onnxTypeOf(value.type), dims: [...all] })
    graph.outputs.push(declare(argument.key, value.type, all))
  }
}

/** Operators expect graphs as TensorFlow writes them; TensorFlow could not run others either. */
function apply(operator: Operator, application: Application): Value[] {
  try {
    return [operator(application)].flat()
  } catch (error) {
    throw error instanceof ModelError ? error : application.fail(`is not understood: ${reasonOf(error)}`)
  }
}

function answerOf(values: Map<FlatNode, Value[]>, node: FlatNode, output: number, program: Program): Value {
  const value = values.get(node)?.[output]
  if (value === undefined)
    throw unsupportedIn(program.file, `node ${node.name} (${node.op}): its output ${output} is not supported`)
  return value
}

function nodeOf({ tensor }: Argument): string {
  return tensor.split(':')[0]!
}

function inputOf({ key, type: given, shape }: Argument, { file, int64 }: Program): Value {
  const element = elementTypeOf(given)
  const type = element === 'int64' ? int64 : element
  if (type !== 'float32' && type !== 'int32' && type !== 'int64' && type !== 'bool')
    throw unsupportedIn(file, `the input ${key} is ${nameOfType(given)}, not float32 or an integer`)
  if (shape === undefined) throw unsupportedIn(file, `the shape of the input ${key} is open`)
  return { type, dims: shape.map((_, i) => sideOf(shape, i)), name: key }
}

/** A first dimension of −1 is the batch; elsewhere −1 is unknown. */
function sideOf(shape: number[] | undefined, i: number): Side {
  const side = shape?.[i]
  return side === undefined || (side < 0 && i > 0) ? undefined : Math.max(-1, side)
}

function declare(name: string, type: ElementType, dims: readonly Side[] | undefined): ValueInfoProto {
  const dim = dims?.map((side, i) => {
    if (side !== undefined && side >= 0) return { value: { case: 'dimValue' as const, value: BigInt(side) } }
    const known = side === -1 ? 'batch' : `batch*${-(side ?? 0)}`
    return { value: { case: 'dimParam' as const, value: side === undefined ? `${name}:${i}` : known } }
  })
  const shape = dim === undefined ? {} : { shape: { dim } }
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: onnxTypeOf(type), ...shape } } },
  })
}

/** Reads variables into memory, except large tables, which are checked and stay in their files. */
async function readStored(graph: Graph, program: Program, { stored }: GraphWriter): Promise<void> {
  const wanted = [...stored].filter(([name]) => graph.constants.has(name))
  const inFile = new Set(
    wanted.filter(([name, { length }]) => length >= largeTable && isTable(graph, name)).map(([name]) => name),
  )
  const bytes = [...graph.constants.values()].reduce((sum, { rawData }) => sum + rawData.byteLength, 0)
  const more = wanted.reduce((sum, [name, { length }]) => sum + (inFile.has(name) ? 0 : length), 0)
  if (bytes + more > mostBytes)
    throw unsupportedIn(program.file, 'its weights exceed the 2 GiB that an ONNX graph holds')
  for (const [name, tensor] of wanted) {
    if (inFile.has(name)) {
      await program.verifyVariable(tensor)
      continue
    }
    const rawData = await program.readVariable(tensor)
    const { type, shape } = tensor
    graph.constants.set(
      name,
      create(TensorProtoSchema, { name, dataType: onnxTypeOf(type), dims: shape.map(BigInt), rawData }),
    )
  }
}

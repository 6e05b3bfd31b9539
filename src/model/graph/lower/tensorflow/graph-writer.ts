import { create } from '@bufbuild/protobuf'
import { ModelError } from '../../../../base/errors.ts'
import type { AttributeValue } from '../../ir/attributes.ts'
import { external } from '../../ir/external-data.ts'
import { unsupportedIn } from '../../ir/file-errors.ts'
import type { Graph } from '../../ir/graph.ts'
import { TensorProtoSchema } from '../../ir/onnx_pb.ts'
import type { Application, ResultType } from './application.ts'
import type { StoredTensor } from './checkpoint.ts'
import type { FlatNode } from './flatten.ts'
import type { Program } from './program.ts'
import { type ElementType, integers, onnxTypeOf } from './tensor-data.ts'
import { elementsOf, isKnown, isNumbers, type Value } from './value.ts'

/** Maximum elements per row of a tensor: no ranking model needs more, and memory is allocated at the first request. */
const mostElements = 1 << 26

type Fail = Application['fail']

/** Writes TensorFlow values and nodes into an ONNX graph. */
export class GraphWriter {
  readonly #graph: Graph
  readonly #program: Program
  readonly #variables = new Map<string, Value>()
  readonly #stored = new Map<string, StoredTensor>()
  /** Tensor with the size of the batch, once it is needed. */
  #batchSize: string | undefined

  constructor(graph: Graph, program: Program) {
    this.#graph = graph
    this.#program = program
  }

  /** Constants in files, by name. */
  get stored(): ReadonlyMap<string, StoredTensor> {
    return this.#stored
  }

  /** The name of a value in the graph, to which it is added if it is not there yet. */
  nameOf(value: Value, fail: Fail = unnamed): string {
    value.name ??= this.#add(value, fail)
    return value.name
  }

  /** The interface that an operator lowers `node` with. */
  applicationOf(node: FlatNode, inputs: Value[]): Application {
    const { file } = this.#program
    const fail: Fail = (what) => unsupportedIn(file, `node ${node.name} (${node.op}): ${what}`)
    const emitAll: Application['emitAll'] = (opType, given, results, attributes = {}) =>
      this.#emit(node, opType, given, results, attributes, fail)
    return {
      node,
      inputs,
      program: this.#program,
      emitAll,
      emit: (opType, given, result, attributes) => emitAll(opType, given, [result], attributes)[0]!,
      vector: (contents) => ({ type: 'int64', dims: [contents.length], contents }),
      scalar,
      stored: (value) => this.#storedValue(value, fail),
      fail,
    }
  }

  #emit(
    node: FlatNode,
    opType: string,
    given: Value[],
    results: ResultType[],
    attributes: Record<string, AttributeValue>,
    fail: Fail,
  ): Value[] {
    for (const { dims } of results) {
      const elements = Math.abs(elementsOf(dims) ?? 0)
      if (elements > mostElements) throw fail(`computes ${elements} elements per row, more than ${mostElements}`)
    }
    const names = given.map((value) => this.nameOf(value, fail))
    const outputs = results.map(() => this.#graph.fresh(node.name))
    this.#graph.nodeOf(opType, names, outputs.length, { outputs, attributes })
    return results.map(({ type, dims }, i) => {
      const name = outputs[i]!
      if (isKnown(dims)) this.#graph.shapes.set(name, { dtype: onnxTypeOf(type), dims: [...dims] })
      return { type, dims, name }
    })
  }

  #add(value: Value, fail: Fail): string {
    const graph = this.#graph
    const { data, contents, variable, type } = value
    if (variable !== undefined) throw fail(`reads the variable ${variable.key} in a way that is not supported`)
    if (data !== undefined) return this.#constant('constant', data)
    if (contents === undefined) throw fail('reads a value that is not a tensor')
    const shape = (value.dims ?? []).map(Number)
    if (isNumbers(contents)) return this.#constant('integers', integers(type as 'int32' | 'int64', shape, contents))
    const parts = contents.map((content) => {
      if (typeof content === 'number') return graph.integers([content])
      const size = this.#sizeOfBatch(fail)
      return content.batches === 1 ? size : graph.node('Mul', [size, graph.integers([content.batches])])
    })
    const vector = graph.node('Concat', parts, { attributes: { axis: 0 } })
    const shaped = shape.length === 1 ? vector : graph.node('Reshape', [vector, graph.integers(shape)])
    return type === 'int64' ? shaped : graph.node('Cast', [shaped], { attributes: { to: onnxTypeOf(type) } })
  }

  /** The number of rows of the first input that has a batch. */
  #sizeOfBatch(fail: Fail): string {
    if (this.#batchSize !== undefined) return this.#batchSize
    const input = this.#program.inputs.find(({ shape }) => shape?.[0] === -1)
    if (input === undefined) throw fail('needs the size of the batch, which no input has')
    const graph = this.#graph
    const shape = graph.node('Shape', [input.key])
    this.#batchSize = graph.node('Slice', [shape, graph.integers([0]), graph.integers([1])])
    return this.#batchSize
  }

  #constant(wanted: string, { type, shape, bytes: rawData }: NonNullable<Value['data']>): string {
    const name = this.#graph.fresh(wanted)
    const tensor = { name, dataType: onnxTypeOf(type), dims: shape.map(BigInt), rawData }
    this.#graph.constants.set(name, create(TensorProtoSchema, tensor))
    return name
  }

  /** A variable is one constant, however often it is read. */
  #storedValue({ variable }: Value, fail: Fail): Value {
    if (variable === undefined) throw fail('reads a value as a variable, which it is not')
    const { key, type, shape, file, offset, length } = variable
    const known = this.#variables.get(key)
    if (known !== undefined) return known
    const name = this.#graph.fresh(key)
    const tensor = { name, dataType: onnxTypeOf(type), dims: shape.map(BigInt) }
    this.#graph.constants.set(name, external(tensor, file, offset, length))
    const value: Value = { type, dims: [...shape], name }
    this.#variables.set(key, value)
    this.#stored.set(name, variable)
    return value
  }
}

function scalar(type: ElementType, value: number): Value {
  if (type === 'int32' || type === 'int64') return { type, dims: [], contents: [value] }
  const bytes = type === 'float64' ? new Float64Array([value]) : new Float32Array([value])
  return { type, dims: [], data: { type, shape: [], bytes: new Uint8Array(bytes.buffer) } }
}

function unnamed(what: string): ModelError {
  return new ModelError('UNSUPPORTED_GRAPH', what)
}

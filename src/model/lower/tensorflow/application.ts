import { create } from '@bufbuild/protobuf'
import { ModelError } from '../../base/errors.ts'
import type { AttributeValue } from '../../graph/attributes.ts'
import { external } from '../../graph/external-data.ts'
import type { Graph } from '../../graph/graph.ts'
import { TensorProtoSchema } from '../../graph/onnx_pb.ts'
import type { StoredTensor } from './checkpoint.ts'
import type { FlatNode } from './flatten.ts'
import type { Program } from './program.ts'
import { type ElementType, integers, onnxTypeOf } from './tensor-data.ts'
import { type Content, elementsOf, isKnown, isNumbers, type Side, type Value } from './value.ts'

/** A node of TensorFlow's graph, to be written as ONNX nodes. */
export interface Application {
  node: FlatNode
  inputs: Value[]
  program: Program
  /** Writes an ONNX node with one output, named after the TensorFlow node. */
  emit(opType: string, inputs: Value[], result: ResultType, attributes?: Record<string, AttributeValue>): Value
  /** The same with several outputs. */
  emitAll(opType: string, inputs: Value[], results: ResultType[], attributes?: Record<string, AttributeValue>): Value[]
  /** A vector as ONNX takes shapes and axes: int64. */
  vector(contents: readonly Content[]): Value
  /** A constant without dimensions. */
  scalar(type: ElementType, value: number): Value
  /** What a variable holds, as a constant that stays in its file. */
  stored(variable: Value): Value
  /** UNSUPPORTED_GRAPH, naming file, node and operator. */
  fail(what: string): ModelError
}

export type ResultType = Pick<Value, 'type' | 'dims'>

/** Writes the nodes of one application and says what comes out, output by output. */
export type Operator = (application: Application) => Value | Value[]

/** Larger tensors, elements a row, are not computed: no ranking model needs them, and their memory is taken at the first request. */
const mostElements = 1 << 26

/** What operators write to. */
export interface Builder {
  of(node: FlatNode, inputs: Value[]): Application
  /** A value's name in the graph, where it is put if it isn't yet. */
  nameOf(value: Value): string
  /** Constants that lie in files, by name. */
  stored: ReadonlyMap<string, StoredTensor>
}

export function createBuilder(graph: Graph, program: Program): Builder {
  let batch: string | undefined
  const variables = new Map<string, Value>()
  const stored = new Map<string, StoredTensor>()

  /** The rows of the first input that has them. */
  function batchSize(fail: (what: string) => ModelError): string {
    if (batch !== undefined) return batch
    const input = program.inputs.find(({ shape }) => shape?.[0] === -1)
    if (input === undefined) throw fail('needs the size of the batch, which no input has')
    const shape = graph.node('Shape', [input.key])
    batch = graph.node('Slice', [shape, graph.integers([0]), graph.integers([1])])
    return batch
  }

  function nameOf(value: Value, fail = unnamed): string {
    value.name ??= nameAnew(value, fail)
    return value.name
  }

  function nameAnew(value: Value, fail: (what: string) => ModelError): string {
    const { data, contents, variable, type } = value
    if (variable !== undefined) throw fail(`reads the variable ${variable.key} in a way that is not supported`)
    if (data !== undefined) return constant('constant', data)
    if (contents === undefined) throw fail('reads what is no tensor')
    const shape = (value.dims ?? []).map(Number)
    if (isNumbers(contents)) return constant('integers', integers(type as 'int32' | 'int64', shape, contents))
    const parts = contents.map((content) => {
      if (typeof content === 'number') return graph.integers([content])
      const size = batchSize(fail)
      return content.batches === 1 ? size : graph.node('Mul', [size, graph.integers([content.batches])])
    })
    const vector = graph.node('Concat', parts, { attributes: { axis: 0 } })
    const shaped = shape.length === 1 ? vector : graph.node('Reshape', [vector, graph.integers(shape)])
    return type === 'int64' ? shaped : graph.node('Cast', [shaped], { attributes: { to: onnxTypeOf(type) } })
  }

  function constant(wanted: string, { type, shape, bytes: rawData }: NonNullable<Value['data']>): string {
    const name = graph.fresh(wanted)
    const tensor = { name, dataType: onnxTypeOf(type), dims: shape.map(BigInt), rawData }
    graph.constants.set(name, create(TensorProtoSchema, tensor))
    return name
  }

  /** Each variable is one constant, however often it is read. */
  function storedIn({ variable }: Value): Value | undefined {
    if (variable === undefined) return undefined
    const { key, type, shape, file, offset, length } = variable
    const known = variables.get(key)
    if (known !== undefined) return known
    const name = graph.fresh(key)
    const tensor = { name, dataType: onnxTypeOf(type), dims: shape.map(BigInt) }
    graph.constants.set(name, external(tensor, file, offset, length))
    const value: Value = { type, dims: [...shape], name }
    variables.set(key, value)
    stored.set(name, variable)
    return value
  }

  function of(node: FlatNode, inputs: Value[]): Application {
    const fail = (what: string) =>
      new ModelError('UNSUPPORTED_GRAPH', `${program.file}: node ${node.name} (${node.op}): ${what}`)

    function emitAll(
      opType: string,
      given: Value[],
      results: ResultType[],
      attributes: Record<string, AttributeValue> = {},
    ): Value[] {
      for (const { dims } of results) {
        const elements = Math.abs(elementsOf(dims) ?? 0)
        if (elements > mostElements) throw fail(`computes ${elements} elements a row, more than ${mostElements}`)
      }
      const names = given.map((value) => nameOf(value, fail))
      const outputs = results.map(() => graph.fresh(node.name))
      graph.nodeOf(opType, names, outputs.length, { outputs, attributes })
      return results.map((result, i) => {
        const name = outputs[i]!
        if (isKnown(result.dims)) graph.shapes.set(name, { dtype: onnxTypeOf(result.type), dims: [...result.dims] })
        return { type: result.type, dims: result.dims, name }
      })
    }

    return {
      node,
      inputs,
      program,
      emitAll,
      emit: (opType, given, result, attributes) => emitAll(opType, given, [result], attributes)[0]!,
      vector: (contents) => ({ type: 'int64', dims: [contents.length], contents }),
      scalar(type, value) {
        const bytes = type === 'float64' ? new Float64Array([value]) : new Float32Array([value])
        const data = { type, shape: [], bytes: new Uint8Array(bytes.buffer) }
        return type === 'int32' || type === 'int64' ? { type, dims: [], contents: [value] } : { type, dims: [], data }
      },
      stored(value) {
        const found = storedIn(value)
        if (found === undefined) throw fail('reads a variable that is none')
        return found
      },
      fail,
    }
  }

  return { of, nameOf: (value) => nameOf(value), stored }
}

function unnamed(what: string): ModelError {
  return new ModelError('UNSUPPORTED_GRAPH', what)
}

/** Input `i`. Throws INVALID_BUNDLE where the node lacks it. */
export function input({ node, inputs, program }: Application, i: number): Value {
  const value = inputs[i]
  if (value === undefined)
    throw new ModelError('INVALID_BUNDLE', `${program.file}: node ${node.name} (${node.op}): lacks its input ${i}`)
  return value
}

/** Integers of input `i`, which must be known when the graph is read. */
export function numbers(application: Application, i: number, what: string): readonly number[] {
  const { contents } = input(application, i)
  if (!isNumbers(contents)) throw application.fail(`its ${what} is not a constant`)
  return contents
}

/** Dimensions of input `i`, of which the number must be known. */
export function ranked(application: Application, i: number): Side[] {
  const { dims } = input(application, i)
  if (dims === undefined) throw application.fail(`the rank of its input ${i} is not known`)
  return dims
}

/** An axis from the front. */
export function axisOf({ fail }: Application, axis: number | undefined, rank: number): number {
  const positive = axis !== undefined && axis < 0 ? axis + rank : axis
  if (positive === undefined || !Number.isInteger(positive) || positive < 0 || positive >= rank)
    throw fail(`the axis ${axis} is not one of ${rank}`)
  return positive
}

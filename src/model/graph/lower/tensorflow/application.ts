import type { ModelError } from '../../../../base/errors.ts'
import type { AttributeValue } from '../../ir/attributes.ts'
import { invalidIn } from '../../ir/file-errors.ts'
import type { FlatNode } from './flatten.ts'
import type { Program } from './program.ts'
import type { ElementType } from './tensor-data.ts'
import { type Content, isNumbers, type Side, type Value } from './value.ts'

/** A node of a TensorFlow graph, to be lowered to ONNX nodes. */
export interface Application {
  node: FlatNode
  inputs: Value[]
  program: Program
  /** Adds an ONNX node with one output, named after the TensorFlow node. */
  emit(opType: string, inputs: Value[], result: ResultType, attributes?: Record<string, AttributeValue>): Value
  /** The same with several outputs. */
  emitAll(opType: string, inputs: Value[], results: ResultType[], attributes?: Record<string, AttributeValue>): Value[]
  /** An int64 vector, the form in which ONNX takes shapes and axes. */
  vector(contents: readonly Content[]): Value
  /** A constant without dimensions. */
  scalar(type: ElementType, value: number): Value
  /** The value of a variable, as a constant that stays in its file. */
  stored(variable: Value): Value
  /** An UNSUPPORTED_GRAPH error that names file, node and operator. */
  fail(what: string): ModelError
}

export type ResultType = Pick<Value, 'type' | 'dims'>

/** Adds the ONNX nodes of one application; returns its outputs. */
export type Operator = (application: Application) => Value | Value[]

/** Input `i`. Throws INVALID_BUNDLE where the node lacks it. */
export function input({ node, inputs, program }: Application, i: number): Value {
  const value = inputs[i]
  if (value === undefined) throw invalidIn(program.file, `node ${node.name} (${node.op}): lacks its input ${i}`)
  return value
}

/** Integers of input `i`, which must be known when the graph is read. */
export function numbers(application: Application, i: number, what: string): readonly number[] {
  const { contents } = input(application, i)
  if (!isNumbers(contents)) throw application.fail(`its ${what} is not a constant`)
  return contents
}

/** Dimensions of input `i`, whose rank must be known. */
export function ranked(application: Application, i: number): Side[] {
  const { dims } = input(application, i)
  if (dims === undefined) throw application.fail(`the rank of its input ${i} is not known`)
  return dims
}

/** A non-negative axis. */
export function axisOf({ fail }: Application, axis: number | undefined, rank: number): number {
  const positive = axis !== undefined && axis < 0 ? axis + rank : axis
  if (positive === undefined || !Number.isInteger(positive) || positive < 0 || positive >= rank)
    throw fail(`the axis ${axis} is not one of ${rank}`)
  return positive
}

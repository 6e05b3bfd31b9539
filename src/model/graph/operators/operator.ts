import type { NodeProto } from '../ir/onnx_pb.ts'
import type { Translator } from '../rows/translation.ts'
import type { Appender } from './appender.ts'
import type { FollowColumns } from './columns.ts'
import type { FollowPlaces } from './places.ts'

/**
 * All that this program knows of an operator of ONNX; `table.ts` lists the operators, and the rooms ask it. An absent
 * facet says why it is absent.
 */
export interface Operator {
  /**
   * How columns of its output follow from columns of its inputs: so the compiler finds what belongs to the context, to
   * candidates and to tables.
   */
  columns: Facet<FollowColumns>
  /** How the places of a list follow from those of its inputs: so lists are cut to their lengths. */
  places: Facet<FollowPlaces>
  /** Its value of numbers; truth values are 0 and 1. */
  number?: (...values: number[]) => number
  /** Its gradient, for training; `constant`: of its outputs, truth values and integers, there is none. */
  gradient: Facet<Rule | 'constant'>
  /**
   * Its steps over rows, for small graphs and oneDNN. Products are absent here: whatever computes them brings its own.
   */
  rows: Facet<Translator>
  /** The operators of TensorFlow that become this one. */
  tensorflow: Facet<FromTensorFlow>
  /** The activation of Keras that it is. */
  keras?: string
}

export interface Absent {
  readonly absent: string
}

export type Facet<T> = T | Absent

export const absent = (reason: string): Absent => ({ absent: reason })

/** The facet, where it is there. */
export function present<T>(facet: Facet<T> | undefined): T | undefined {
  return facet === undefined || isAbsent(facet) ? undefined : facet
}

function isAbsent<T>(facet: Facet<T>): facet is Absent {
  return typeof facet === 'object' && facet !== null && 'absent' in facet
}

/** Operators of TensorFlow with this one's inputs, in its order. */
export interface FromTensorFlow {
  names: readonly string[]
  inputs: 1 | 2
  /** Default: the type of the inputs. */
  result?: 'bool'
  /** Its value for numbers that are known when the graph is read, such as dimensions. */
  fold?: (a: number, b: number) => number
}

/** The arguments of a rule: a node of the forward graph and the gradients of its outputs. */
export interface Application {
  node: NodeProto
  append: Appender
  /** Gradient of the node's first output, of its shape. */
  gradient: string
  /** Gradients of all outputs; undefined where nothing depends on one. */
  gradients: readonly (string | undefined)[]
  /** Whether the gradient of this input is wanted: others need no computation. */
  wanted(input: number): boolean
}

/**
 * The gradients of a node's inputs, of their shapes; undefined for one that is not wanted. Throws an Error that says
 * what is not supported.
 */
export type Rule = (application: Application) => (string | undefined)[]

/** A rule for an operator of one input that matters. */
export const ofOneInput =
  (rule: (application: Application, x: string, y: string) => string): Rule =>
  (application) => [rule(application, application.node.input[0]!, application.node.output[0]!)]

/* Reasons that several operators share. */

export const notMet = absent('rankers hardly have it: ONNX Runtime computes it')
export const unfollowed = absent('no pass has needed it')
export const untrained = absent('no trained network has had it')
export const wholeLists = absent('no list has been computed by it: its places are not followed')
export const composed = absent('no operator of TensorFlow is the same')
export const otherArguments = absent('TensorFlow gives its arguments in another way: lower/tensorflow/operators/')
export const dropped = absent('canonicalise drops it')

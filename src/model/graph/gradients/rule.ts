import type { NodeProto } from '../ir/onnx_pb.ts'
import type { Appender } from './appender.ts'

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
export const unary =
  (rule: (application: Application, x: string, y: string) => string): Rule =>
  (application) => [rule(application, application.node.input[0]!, application.node.output[0]!)]

import type { ModelError } from '../../../../base/errors.ts'
import { invalidIn, unsupportedIn } from '../../ir/file-errors.ts'
import { nodesByName, type Program } from './program.ts'
import type { FunctionDef, NodeDef } from './tensorflow_pb.ts'

/** The main graph, or one call of a function: a scope of node names. */
export interface Frame {
  /** Prefix of the names of its nodes: '' or `call/`. */
  path: string
  nodes: Map<string, NodeDef>
  function: FunctionDef | undefined
  /** The call, in the calling frame. */
  caller: { frame: Frame; node: NodeDef } | undefined
  depth: number
}

/** An output of a node that is neither an argument nor a call. */
export interface NodeOutput {
  frame: Frame
  node: NodeDef
  output: number
}

export interface Frames {
  main: Frame
  /** The source of a node's input: arguments are followed to the caller, calls into their function. */
  resolve(frame: Frame, input: string): NodeOutput
  /** The frame of a call in `frame`; undefined if the node is not a call. */
  enter(frame: Frame, node: NodeDef): Frame | undefined
}

/** Maximum depth of calls; Keras makes three to five. */
const deepest = 100
const mostFrames = 20_000
/** Maximum calls and arguments followed. */
const mostSteps = 2_000_000

/** Operators whose outputs have names within a function; those of others are numbered. */
const normalised = ['y', 'batch_mean', 'batch_variance', 'reserve_space_1', 'reserve_space_2', 'reserve_space_3']
const outputNames = new Map([
  ['FusedBatchNorm', normalised],
  ['FusedBatchNormV2', normalised],
  ['FusedBatchNormV3', normalised],
])

/**
 * Follows names through the calls of a program, without copies: a function that is called twice has two frames.
 * Throws INVALID_BUNDLE for unknown names and recursive functions, UNSUPPORTED_GRAPH for too many calls.
 */
export function createFrames(program: Program): Frames {
  const { file, functions } = program
  const main: Frame = { path: '', nodes: program.nodes, function: undefined, caller: undefined, depth: 0 }
  const calls = new Map<Frame, Map<string, Frame>>()
  const bodies = new Map<FunctionDef, Map<string, NodeDef>>()
  let frames = 1
  let steps = 0

  function resolve(from: Frame, wanted: string): NodeOutput {
    let [frame, input] = [from, wanted]
    for (;;) {
      if (steps++ > mostSteps) throw unsupported(`more than ${mostSteps} calls and arguments to follow`)
      const [name, ...rest] = input.split(':')
      const argument = frame.function?.signature?.inputArg.findIndex((arg) => arg.name === name) ?? -1
      if (argument >= 0 && frame.caller !== undefined) {
        const given: string | undefined = dataInputs(frame.caller.node)[argument]
        if (given === undefined) throw missing(frame, `its argument ${name} is not given`)
        ;[frame, input] = [frame.caller.frame, given]
        continue
      }
      const node = frame.nodes.get(name!)
      if (node === undefined) throw missing(frame, `there is no node ${name}`)
      const called = enter(frame, node)
      if (called === undefined) return { frame, node, output: outputOf(frame, node, rest) }
      const outputs = called.function!.signature?.outputArg.map((arg) => arg.name) ?? []
      // Outputs of a call are numbered; those of a function used as an operator have names.
      const answer = rest.length === 2 && rest[0] !== 'output' ? rest[0]! : outputs[Number(rest.at(-1) ?? 0)]
      const { ret } = called.function!
      if (answer === undefined || !Object.hasOwn(ret, answer))
        throw missing(frame, `${input}: the function has no such output`)
      const given: string = ret[answer]!
      ;[frame, input] = [called, given]
    }
  }

  function enter(frame: Frame, node: NodeDef): Frame | undefined {
    const callee = calleeOf(node)
    const definition = functions.get(callee ?? node.op)
    if (definition === undefined) {
      if (callee !== undefined) throw missing(frame, `${node.name}: there is no function ${callee}`)
      return undefined
    }
    const known = calls.get(frame)?.get(node.name)
    if (known !== undefined) return known
    const name = definition.signature?.name ?? ''
    for (let outer: Frame | undefined = frame; outer !== undefined; outer = outer.caller?.frame)
      if (outer.function === definition) throw invalidIn(file, `the function ${name} calls itself`)
    if (frame.depth >= deepest) throw unsupported(`calls are nested deeper than ${deepest}, in ${name}`)
    if (frames++ > mostFrames) throw unsupported(`has more than ${mostFrames} calls of functions`)
    const list = definition.signature?.inputArg.find((arg) => arg.numberAttr !== '' || arg.typeListAttr !== '')
    if (list !== undefined) throw unsupported(`the function ${name} takes a list, ${list.name}`)
    const nodes = bodies.get(definition) ?? nodesByName(definition.nodeDef, `${file}: the function ${name}`)
    bodies.set(definition, nodes)
    const path = `${frame.path}${node.name}/`
    const called = { path, nodes, function: definition, caller: { frame, node }, depth: frame.depth + 1 }
    calls.set(frame, (calls.get(frame) ?? new Map<string, Frame>()).set(node.name, called))
    return called
  }

  function outputOf(frame: Frame, node: NodeDef, rest: string[]): number {
    const number = Number(rest.at(-1) ?? 0)
    if (!Number.isInteger(number) || number < 0) throw missing(frame, `${node.name} has no output ${rest.join(':')}`)
    const named = rest.length === 2 ? outputNames.get(node.op)?.indexOf(rest[0]!) : undefined
    if (named === -1) throw missing(frame, `${node.name} has no output ${rest[0]}`)
    return named ?? number
  }

  function missing({ function: definition }: Frame, what: string): ModelError {
    const where = definition === undefined ? '' : `the function ${definition.signature?.name}: `
    return invalidIn(file, `${where}${what}`)
  }

  function unsupported(what: string): ModelError {
    return unsupportedIn(file, what)
  }

  return { main, resolve, enter }
}

/** A node's inputs without control dependencies. */
export function dataInputs(node: NodeDef): string[] {
  return node.input.filter((input) => !input.startsWith('^'))
}

function calleeOf({ op, attr }: NodeDef): string | undefined {
  if (op !== 'PartitionedCall' && op !== 'StatefulPartitionedCall') return undefined
  const called = attr.f?.value
  return called?.case === 'func' ? called.value.name : ''
}

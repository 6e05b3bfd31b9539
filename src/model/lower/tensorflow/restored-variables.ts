import { ModelError } from '../../base/errors.ts'
import { createFrames, dataInputs, type Frame, type NodeOutput } from './frames.ts'
import type { Program } from './program.ts'

/**
 * Maps each variable's node in the main graph to the key of its tensor in the checkpoint. The mapping is read from the
 * operation with which TensorFlow restores: it assigns outputs of a RestoreV2, which names the keys, to variables. Names of
 * variables need not be unique, nor be keys.
 *
 * Throws INVALID_BUNDLE if that operation is missing.
 */
export function restoredVariables(program: Program, restore: string): Map<string, string> {
  const { file } = program
  const frames = createFrames(program)
  const found = new Map<string, string>()
  const seen = new Map<Frame, Set<string>>()
  const open: { frame: Frame; name: string }[] = [{ frame: frames.main, name: restore.split(':')[0]! }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { frame, name } = next
    const node = frame.nodes.get(name)
    const ofFrame = seen.get(frame) ?? new Set<string>()
    seen.set(frame, ofFrame)
    if (node === undefined) {
      if (frame.function === undefined)
        throw new ModelError('INVALID_BUNDLE', `${file}: there is no node ${name}, which restores the variables`)
      continue
    }
    if (ofFrame.has(name)) continue
    ofFrame.add(name)
    if (node.op === 'AssignVariableOp' || node.op === 'Assign') {
      const [target, value] = dataInputs(node)
      const variable = through(frames.resolve, frame, target)
      const key = through(frames.resolve, frame, value)
      const stored = key && keyOf(key)
      if (variable !== undefined && stored !== undefined) found.set(variable.node.name, stored)
      continue
    }
    const called = frames.enter(frame, node)
    // A call runs all nodes of a function.
    if (called !== undefined) for (const inner of called.nodes.keys()) open.push({ frame: called, name: inner })
    else for (const input of node.input) open.push({ frame, name: input.replace(/^\^/, '').split(':')[0]! })
  }
  return found

  function keyOf({ frame, node, output }: NodeOutput): string | undefined {
    if (node.op !== 'RestoreV2') return undefined
    const names = through(frames.resolve, frame, dataInputs(node)[1])?.node.attr.value?.value
    if (names?.case !== 'tensor') return undefined
    const { stringVal } = names.value
    // A single value is repeated.
    const bytes = stringVal[Math.min(output, stringVal.length - 1)]
    return bytes && new TextDecoder().decode(bytes)
  }
}

/** The source of an input, by name. */
function through(
  resolve: (frame: Frame, input: string) => NodeOutput,
  frame: Frame,
  input: string | undefined,
): NodeOutput | undefined {
  if (input === undefined) return undefined
  let place = resolve(frame, input)
  for (let steps = 0; place.node.op === 'Identity' && steps < 100; steps++) {
    const [inner] = dataInputs(place.node)
    if (inner === undefined) return undefined
    place = resolve(place.frame, inner)
  }
  return place
}

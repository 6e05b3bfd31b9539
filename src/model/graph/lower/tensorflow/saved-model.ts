import { dirname } from 'node:path'
import { fromBinary } from '@bufbuild/protobuf'
import { ModelError, reasonOf } from '../../../../base/errors.ts'
import { pathInside } from '../../../../base/files.ts'
import { invalidIn } from '../../ir/file-errors.ts'
import { readBounded } from '../read-file.ts'
import { type Checkpoint, openCheckpoint } from './checkpoint.ts'
import { createFrames, dataInputs, type Frame, type NodeOutput } from './frames.ts'
import { type Argument, nodesByName, type Program } from './program.ts'
import {
  type MetaGraphDef,
  type SavedModel,
  SavedModelSchema,
  type SignatureDef,
  type TensorInfo,
} from './tensorflow_pb.ts'

export interface SavedProgram extends Program {
  /** Name of the signature. */
  signature: string
  /** Tags of its graph. */
  tags: string[]
}

/** Prefix of a SavedModel's variables, relative to its folder. */
const variables = 'variables/variables'

/** Protobuf's limit for one message. */
const largestFile = 2 ** 31 - 1

/**
 * A TensorFlow SavedModel, as Keras 2 saves and Keras 3 exports it: `file` (saved_model.pb) below `folder`, and its
 * variables beside it. `signature` names one of its signatures; default: `serving_default`, `serve`, or the only one.
 *
 * Rejects with INVALID_BUNDLE, naming the file and place, if something is missing or damaged, or there is no such
 * signature; with UNSUPPORTED_GRAPH for sparse and ragged arguments.
 */
export async function readSavedModel(folder: string, file: string, signature?: string): Promise<SavedProgram> {
  const { chosen, ...rest } = await readSignature(folder, file, signature)
  const { graphDef, saverDef } = chosen
  const nodes = nodesByName(graphDef?.node ?? [], file)
  const functions = new Map(
    (graphDef?.library?.function ?? []).map((definition) => [definition.signature?.name ?? '', definition]),
  )
  let checkpoint: Checkpoint | undefined
  const stored = (): Checkpoint => {
    if (checkpoint === undefined) throw invalidIn(file, 'has variables, but restores none')
    return checkpoint
  }
  const program: SavedProgram = {
    file,
    ...rest,
    nodes,
    functions,
    int64: 'int64',
    weight: () => undefined,
    variable: (name) => {
      const key = keys.get(name)
      if (key === undefined) throw invalidIn(file, `the variable ${name} was not saved`)
      return stored().find(key)
    },
    readVariable: (tensor) => stored().read(tensor),
    verifyVariable: (tensor) => stored().verify(tensor),
  }
  const restore = saverDef?.restoreOpName ?? ''
  const hasVariables = graphDef?.node.some(({ op }) => op === 'VarHandleOp' || op === 'VariableV2') ?? false
  const keys = restore === '' || !hasVariables ? new Map<string, string>() : restoredVariables(program, restore)
  if (keys.size > 0) {
    const base = dirname(file) === '.' ? '' : `${dirname(file)}/`
    pathInside(folder, folder, `${base}${variables}`)
    checkpoint = await openCheckpoint(folder, `${base}${variables}`)
  }
  return program
}

async function readSignature(folder: string, file: string, wanted: string | undefined) {
  const chosen = metaGraphOf(await readMessage(folder, file), file)
  const { name, definition } = signatureOf(chosen, wanted, file)
  return {
    chosen,
    signature: name,
    tags: chosen.metaInfoDef?.tags ?? [],
    inputs: argumentsOf(definition.inputs, `${file}: the input`),
    outputs: argumentsOf(definition.outputs, `${file}: the output`),
  }
}

async function readMessage(folder: string, file: string): Promise<SavedModel> {
  const path = pathInside(folder, folder, file)
  const bytes = await readBounded(path, file, largestFile)
  try {
    return fromBinary(SavedModelSchema, bytes, { readUnknownFields: false })
  } catch (cause) {
    throw invalidIn(file, `is not a SavedModel: ${reasonOf(cause)}`, cause)
  }
}

function metaGraphOf({ metaGraphs }: SavedModel, file: string): MetaGraphDef {
  const serving = metaGraphs.filter(({ metaInfoDef }) => metaInfoDef?.tags.join() === 'serve')
  const [chosen] = serving.length > 0 ? serving : metaGraphs
  if (chosen === undefined) throw invalidIn(file, 'is a SavedModel without a graph')
  if (serving.length !== 1 && metaGraphs.length > 1) {
    const tags = metaGraphs.map(({ metaInfoDef }) => `[${metaInfoDef?.tags}]`).join(', ')
    throw invalidIn(file, `which of its graphs is meant, ${tags}? None is tagged serve alone`)
  }
  return chosen
}

function signatureOf({ signatureDef }: MetaGraphDef, wanted: string | undefined, file: string) {
  // The initialiser of a model has the form of a signature, but is not one.
  const names = Object.keys(signatureDef).filter((name) => !name.startsWith('__'))
  const name = wanted ?? ['serving_default', 'serve'].find((usual) => names.includes(usual)) ?? names[0]
  if (name === undefined) throw invalidIn(file, 'has no signature')
  if (!names.includes(name) || (wanted === undefined && name === names[0] && names.length > 1 && !isUsual(name)))
    throw new ModelError(
      'INVALID_BUNDLE',
      wanted === undefined
        ? `${file}: which of its signatures is meant, ${names.join(', ')}?`
        : `${file}: there is no signature ${wanted}, but ${names.join(', ') || 'none'}`,
    )
  const definition: SignatureDef = signatureDef[name]!
  if (Object.keys(definition.outputs).length === 0) throw invalidIn(file, `the signature ${name} has no outputs`)
  return { name, definition }
}

function isUsual(name: string): boolean {
  return name === 'serving_default' || name === 'serve'
}

/** Sorted by name, since their order in the file means nothing. */
function argumentsOf(infos: Record<string, TensorInfo>, where: string): Argument[] {
  return Object.entries(infos)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, { encoding, dtype, tensorShape }]) => {
      if (encoding.case !== 'name') {
        const kind = encoding.case === 'cooSparse' ? 'sparse' : 'ragged or of another composite type'
        throw new ModelError('UNSUPPORTED_GRAPH', `${where} ${key} is ${kind}`)
      }
      const open = tensorShape === undefined || tensorShape.unknownRank
      const shape = open ? undefined : tensorShape.dim.map(({ size }) => Number(size))
      return { key, tensor: encoding.value, type: dtype, shape }
    })
}

/**
 * Maps each variable's node in the main graph to the key of its tensor in the checkpoint. The mapping is read from the
 * operation with which TensorFlow restores: it assigns outputs of a RestoreV2, which names the keys, to variables.
 * Names of variables need not be unique, nor be keys.
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
      if (frame.function === undefined) throw invalidIn(file, `there is no node ${name}, which restores the variables`)
      continue
    }
    if (ofFrame.has(name)) continue
    ofFrame.add(name)
    if (node.op === 'AssignVariableOp' || node.op === 'Assign') {
      const [target, value] = dataInputs(node)
      const variable = through(frames.resolve, frame, target)
      const key = through(frames.resolve, frame, value)
      const stored = key && outputKey(key)
      if (variable !== undefined && stored !== undefined) found.set(variable.node.name, stored)
      continue
    }
    const called = frames.enter(frame, node)
    // A call runs all nodes of a function.
    if (called !== undefined) for (const inner of called.nodes.keys()) open.push({ frame: called, name: inner })
    else for (const input of node.input) open.push({ frame, name: input.replace(/^\^/, '').split(':')[0]! })
  }
  return found

  function outputKey({ frame, node, output }: NodeOutput): string | undefined {
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

import { fromJson, type JsonValue } from '@bufbuild/protobuf'
import { reasonOf } from '../../../../base/errors.ts'
import { pathInside } from '../../../../base/files.ts'
import { invalidIn, unsupportedIn } from '../../ir/file-errors.ts'
import { checkFormat, readJson } from '../read-file.ts'
import { readWeights } from '../weight-shards.ts'
import {
  decodeWeight,
  GraphModelFile,
  type GraphModelSignature,
  storedBytes,
  type WeightSpec,
} from './graph-model-weights.ts'
import { type Argument, nodesByName, type Program } from './program.ts'
import { DataType, type GraphDef, GraphDefSchema, type NodeDef } from './tensorflow_pb.ts'

/** A TensorFlow.js graph model: its parsed file, its weights, and the program that they define. */
export interface GraphModel extends Program {
  json: GraphModelFile
  /** All shards, concatenated. */
  weightData: ArrayBuffer
}

/** Maximum size of model.json, bytes; weights are in shards. */
const largestFile = 1 << 28

/**
 * A TensorFlow.js graph model, as tensorflowjs_converter writes it: `file` (model.json) below `folder`, and the shards
 * it names. Arguments are named as in its signature.
 *
 * Rejects with INVALID_BUNDLE, naming the file and place, if something is missing, malformed, outside `folder`, or of
 * the wrong size; with UNSUPPORTED_GRAPH for unsupported parts.
 */
export async function readGraphModel(folder: string, file: string, signature?: string): Promise<GraphModel> {
  if (signature !== undefined)
    throw invalidIn(file, `there is no signature ${signature}: a graph model has a single unnamed one`)
  const path = pathInside(folder, folder, file)
  const json = checkFormat(GraphModelFile, await readJson(path, file, largestFile), file, 'is not a graph model')
  const graph = parseGraph(json, file)
  if (json.modelInitializer !== undefined && json.modelInitializer !== null)
    throw unsupportedIn(file, 'has tables with an initialiser graph, which is not supported')
  const nodes = nodesByName(graph.node, file)
  const bytesOf = (spec: WeightSpec) => storedBytes(spec, file)
  const { stored, weightData } = await readWeights(folder, file, json.weightsManifest, bytesOf)
  const weights = new Map([...stored].map(([name, { spec, bytes }]) => [name, decodeWeight(spec, bytes, file)]))
  const variable = (name: string): never => {
    throw unsupportedIn(file, `the node ${name} is a variable, which a graph model cannot have`)
  }
  return {
    file,
    json,
    weightData,
    nodes,
    functions: new Map((graph.library?.function ?? []).map((each) => [each.signature?.name ?? '', each])),
    ...argumentsOf(json.userDefinedMetadata?.signature ?? json.signature, nodes, file),
    int64: 'int32',
    weight: (name) => weights.get(name),
    variable,
    readVariable: async ({ key }) => variable(key),
    verifyVariable: async ({ key }) => variable(key),
  }
}

function parseGraph({ modelTopology: { node, library } }: GraphModelFile, file: string): GraphDef {
  try {
    const json = { node, ...(library === undefined || library === null ? {} : { library }) } as Record<
      string,
      unknown
    > as JsonValue
    return fromJson(GraphDefSchema, json, { ignoreUnknownFields: true })
  } catch (cause) {
    throw invalidIn(file, `/modelTopology is not a graph: ${reasonOf(cause)}`, cause)
  }
}

function argumentsOf(signature: GraphModelSignature | undefined, nodes: Map<string, NodeDef>, file: string) {
  if (signature === undefined) return argumentsOfGraph(nodes, file)
  const read = (given: GraphModelSignature['outputs'], pointer: string): Argument[] =>
    Object.entries(given).map(([key, { name, dtype, tensorShape }]) => {
      const type = dtype === undefined ? DataType.DT_INVALID : DataType[dtype as keyof typeof DataType]
      if (type === undefined) throw invalidIn(file, `${pointer}/${key}/dtype is not a type: ${dtype}`)
      const open = tensorShape === undefined || tensorShape.unknownRank === true
      // Protobuf's JSON omits a size of 0.
      return {
        key,
        tensor: name,
        type,
        shape: open ? undefined : (tensorShape.dim ?? []).map(({ size }) => Number(size ?? 0)),
      }
    })
  const outputs = read(signature.outputs, '/signature/outputs')
  if (outputs.length === 0) throw invalidIn(file, '/signature/outputs is empty')
  return { inputs: read(signature.inputs ?? {}, '/signature/inputs'), outputs }
}

/** Early converters wrote no signature: then every Placeholder is an input, and every unread node an output. */
function argumentsOfGraph(nodes: Map<string, NodeDef>, file: string): { inputs: Argument[]; outputs: Argument[] } {
  const all = [...nodes.values()]
  const read = new Set(all.flatMap(({ input }) => input.map((name) => name.replace(/^\^/, '').split(':')[0]!)))
  const isInput = ({ op }: NodeDef) => op === 'Placeholder' || op === 'PlaceholderWithDefault'
  const inputs = all.filter(isInput).map(({ name, attr }): Argument => {
    const [type, shape] = [attr.dtype?.value, attr.shape?.value]
    return {
      key: name,
      tensor: name,
      type: type?.case === 'type' ? type.value : DataType.DT_INVALID,
      shape:
        shape?.case === 'shape' && !shape.value.unknownRank
          ? shape.value.dim.map(({ size }) => Number(size))
          : undefined,
    }
  })
  const outputs = all
    .filter((node) => !read.has(node.name) && !isInput(node) && node.op !== 'Const' && node.op !== 'NoOp')
    .map(({ name }): Argument => ({ key: name, tensor: name, type: DataType.DT_INVALID, shape: undefined }))
  if (outputs.length === 0) throw invalidIn(file, 'has no outputs')
  return { inputs, outputs }
}

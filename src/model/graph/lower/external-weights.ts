import { type FileHandle, open } from 'node:fs/promises'
import { create } from '@bufbuild/protobuf'
import { reasonOf } from '../../../base/errors.ts'
import { fileReason, pathInside, sizeOfOrdinary } from '../../../base/files.ts'
import { isExternal } from '../ir/constants.ts'
import { externalPlace, isTable, largeTable, tensorBytes } from '../ir/external-data.ts'
import { invalidIn, unsupportedIn } from '../ir/file-errors.ts'
import type { Graph } from '../ir/graph.ts'
import { type TensorProto, TensorProtoSchema } from '../ir/onnx_pb.ts'

/* Weights that a graph keeps in files beside it. */

/**
 * Most bytes of weights in memory: what an ONNX file, which has 2 GiB at most, can hold beside 16 MiB of nodes, names
 * and shapes.
 */
const mostInMemory = 2 ** 31 - 2 ** 24

/**
 * Reads all weights that are in files, except large tables, which stay there to be mapped into memory. The graph is
 * then as if its own file held them, and no reader need know where they were.
 *
 * Rejects with INVALID_BUNDLE where a file is missing, damaged or outside `folder`, and with UNSUPPORTED_GRAPH these
 * weights and those in the graph's own file are more than `most` bytes: too many for one ONNX file. `file` is the
 * graph's, for messages.
 */
export async function resolveExternal(graph: Graph, folder: string, file: string, most = mostInMemory): Promise<void> {
  const tensors = graph.nodes.flatMap(({ attribute }) => attribute).filter(({ t }) => t !== undefined)
  const attributes = tensors.filter(({ t }) => isExternal(t!))
  const isMapped = (tensor: TensorProto) => tensorBytes(tensor) >= largeTable && isTable(graph, tensor.name)
  const constants = [...graph.constants.values()].filter((tensor) => isExternal(tensor) && !isMapped(tensor))
  graph.isResolved = constants.length + attributes.length > 0
  const all = [...graph.constants.values(), ...tensors.map(({ t }) => t!)]
  const outside = sizeOf([...constants, ...attributes.map(({ t }) => t!)])
  const inside = sizeOf(all.filter((tensor) => !isExternal(tensor)))
  if (graph.isResolved && inside + outside > most)
    throw unsupportedIn(
      file,
      `its weights are ${inside} bytes, and those in other files, large tables aside, ${outside}: more than ${most} together`,
    )
  await readExternal(graph, folder, (tensor) => !isMapped(tensor))
  for (const attribute of attributes)
    attribute.t = await readTensor(await placeOf(graph, folder, attribute.t!), attribute.t!)
}

const sizeOf = (tensors: readonly TensorProto[]) => tensors.reduce((sum, tensor) => sum + tensorBytes(tensor), 0)

/**
 * Reads wanted constants that are in files, and checks where the others are; constants that nothing reads are ignored.
 * Rejects with INVALID_BUNDLE where a file is missing, damaged or outside `folder`.
 */
export async function readExternal(
  graph: Graph,
  folder: string,
  isWanted: (tensor: TensorProto) => boolean = () => true,
): Promise<void> {
  for (const tensor of [...graph.constants.values()]) {
    const { name } = tensor
    if (!isExternal(tensor) || (graph.users(name).length === 0 && !graph.isOutput(name))) continue
    const path = await placeOf(graph, folder, tensor)
    if (isWanted(tensor)) graph.constants.set(name, await readTensor(path, tensor))
  }
}

/** The path of a tensor's file. Rejects where it, or the tensor's offset or length, leads outside. */
async function placeOf(graph: Graph, folder: string, tensor: TensorProto): Promise<string> {
  const { location, start, length = tensorBytes(tensor) } = externalPlace(tensor)
  const path = pathInside(folder, graph.folder, location)
  const size = await sizeOfOrdinary(path).catch((cause) => {
    throw invalidIn(location, `can't be read: ${fileReason(cause)}`, cause)
  })
  if (!Number.isSafeInteger(start) || start < 0 || length !== tensorBytes(tensor) || start + length > size)
    throw invalidIn(location, `${tensor.name} lies outside of it, or has another length`)
  return path
}

async function readTensor(path: string, tensor: TensorProto): Promise<TensorProto> {
  const { name, dataType, dims } = tensor
  const { location, start } = externalPlace(tensor)
  const rawData = new Uint8Array(tensorBytes(tensor))
  let file: FileHandle | undefined
  try {
    file = await open(path)
    for (let done = 0; done < rawData.length; ) {
      const { bytesRead } = await file.read(rawData, done, rawData.length - done, start + done)
      if (bytesRead === 0) throw new Error('it ends too early')
      done += bytesRead
    }
  } catch (cause) {
    throw invalidIn(location, `${name} can't be read: ${reasonOf(cause)}`, cause)
  } finally {
    await file?.close()
  }
  return create(TensorProtoSchema, { name, dataType, dims, rawData })
}

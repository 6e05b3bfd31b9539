import { copyFile, link, open, realpath, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { create } from '@bufbuild/protobuf'
import { type Graph, intAttribute, isExternal } from './graph.ts'
import {
  TensorProto_DataLocation as DataLocation,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from './onnx_pb.ts'

/** Tables this large, bytes, lie in files of their own, which all sessions, workers and processes map into memory once. */
export const largeTable = 64 * 1024

/** Where external data lies: path relative to the graph's folder, and bytes. */
export function externalPlace(tensor: TensorProto): { location: string; start: number; length: number | undefined } {
  const entry = (key: string) => tensor.externalData.find((candidate) => candidate.key === key)?.value
  const length = entry('length')
  return {
    location: entry('location') ?? '',
    start: Number(entry('offset') ?? 0),
    length: length === undefined ? undefined : Number(length),
  }
}

/** The same tensor, its data in a file. */
export function external(
  { name, dataType, dims }: Pick<TensorProto, 'name' | 'dataType' | 'dims'>,
  file: string,
  start: number,
  length: number | undefined,
): TensorProto {
  const entries = { location: file, offset: `${start}`, ...(length === undefined ? {} : { length: `${length}` }) }
  return create(TensorProtoSchema, {
    name,
    dataType,
    dims,
    dataLocation: DataLocation.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value })),
  })
}

/**
 * Brings a graph's large embedding tables into files of `folder`, and all else that lies in files into memory, where
 * passes can read it. A file is linked, or copied by the system where it can't be: its table never passes through memory.
 *
 * Rejects with the system's error where `folder` can't be written to.
 */
export async function settleTables(graph: Graph, folder: string): Promise<void> {
  const lookedUp = new Set<string>()
  for (const node of graph.nodes)
    if (node.opType === 'Gather' && intAttribute(node, 'axis', 0) === 0) lookedUp.add(node.input[0]!)
  const files = new Map<string, string>()
  const nextFile = () => `table-${files.size}.bin`

  async function linked(tensor: TensorProto): Promise<TensorProto> {
    const { location, start, length } = externalPlace(tensor)
    const path = await realpath(resolve(graph.folder, location))
    const file = files.get(path) ?? nextFile()
    if (!files.has(path)) await linkOrCopy(path, join(folder, file))
    files.set(path, file)
    return external(tensor, file, start, length)
  }

  for (const [name, tensor] of graph.constants) {
    const large = lookedUp.has(name) && bytesOf(tensor) >= largeTable
    if (isExternal(tensor)) {
      const settled = large ? await linked(tensor) : await readTensor(tensor, graph.folder)
      graph.constants.set(name, settled)
    } else if (large && tensor.rawData.byteLength > 0) {
      const file = nextFile()
      files.set(file, file)
      await writeFile(join(folder, file), tensor.rawData)
      graph.constants.set(name, external(tensor, file, 0, tensor.rawData.byteLength))
    }
  }
  graph.folder = folder
}

export async function linkOrCopy(from: string, to: string): Promise<void> {
  // A link takes no room.
  await link(from, to).catch(() => copyFile(from, to))
}

async function readTensor(tensor: TensorProto, folder: string): Promise<TensorProto> {
  const { location, start } = externalPlace(tensor)
  const { name, dataType, dims } = tensor
  const rawData = new Uint8Array(bytesOf(tensor))
  const file = await open(resolve(folder, location))
  try {
    for (let done = 0; done < rawData.length; ) {
      const { bytesRead } = await file.read(rawData, done, rawData.length - done, start + done)
      if (bytesRead === 0) throw new Error(`${location}: ends before the data of ${name}`)
      done += bytesRead
    }
  } finally {
    await file.close()
  }
  return create(TensorProtoSchema, { name, dataType, dims, rawData })
}

/** What a tensor's data takes in memory. */
export function bytesOf({ dims, dataType }: TensorProto): number {
  return dims.reduce((size, side) => size * Number(side), bytesOfElement.get(dataType) ?? 1)
}

/** By ONNX' data type: float, (u)int8, (u)int16, int32, int64, bool, float16, double, uint32, uint64, bfloat16. */
const bytesOfElement = new Map([
  [1, 4],
  [2, 1],
  [3, 1],
  [4, 2],
  [5, 2],
  [6, 4],
  [7, 8],
  [9, 1],
  [10, 2],
  [11, 8],
  [12, 4],
  [13, 8],
  [16, 2],
])

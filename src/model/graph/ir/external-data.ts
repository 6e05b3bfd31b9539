import { closeSync, constants, openSync, readSync } from 'node:fs'
import { copyFile, link, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { product } from '../../../base/arrays.ts'
import type { TableFile } from '../../contracts/compiled-plan.ts'
import { checkGraphBounds } from './bounds.ts'
import { floatsOf, isExternal } from './constants.ts'
import type { Graph } from './graph.ts'
import {
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type SparseTensorProto,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from './onnx_pb.ts'
import { elementSize } from './tensor-shape.ts'

/**
 * Tables of at least this size, bytes, have files of their own, which all sessions, workers and processes share by
 * mapping.
 */
export const largeTable = 64 * 1024

/** Location of external data: path relative to the graph's folder, and byte range. */
export function externalPlace(tensor: TensorProto): { location: string; start: number; length: number | undefined } {
  const entry = (key: string) => tensor.externalData.find((candidate) => candidate.key === key)?.value
  const length = entry('length')
  return {
    location: entry('location') ?? '',
    start: Number(entry('offset') ?? 0),
    length: length === undefined ? undefined : Number(length),
  }
}

/** The files, relative to an ONNX file, that contain data of its tensors. Throws if it is not an ONNX file. */
export function externalFiles(bytes: Uint8Array): string[] {
  const { tensors } = parseExternal(bytes)
  return [...new Set(tensors.map((tensor) => externalPlace(tensor).location))]
}

/**
 * An ONNX file whose external data is in files named after it, `file`.data, `file`.data.1, …, and the new name of each
 * former file. Without such data it is unchanged. Throws if it is not an ONNX file.
 */
export function renameExternal(bytes: Uint8Array, file: string): { bytes: Uint8Array; files: Map<string, string> } {
  const { model, tensors } = parseExternal(bytes)
  const files = new Map<string, string>()
  for (const { externalData } of tensors)
    for (const entry of externalData)
      if (entry.key === 'location') {
        const name = files.get(entry.value) ?? `${file}.data${files.size > 0 ? `.${files.size}` : ''}`
        files.set(entry.value, name)
        entry.value = name
      }
  return { bytes: tensors.length > 0 ? toBinary(ModelProtoSchema, model) : bytes, files }
}

/** A model, and its tensors whose data is in files. */
function parseExternal(bytes: Uint8Array): { model: ModelProto; tensors: TensorProto[] } {
  checkGraphBounds(bytes)
  const model = fromBinary(ModelProtoSchema, bytes)
  const { graph, functions } = model
  const tensors = [...(graph ? tensorsOf(graph) : []), ...functions.flatMap(({ node }) => node.flatMap(tensorsOfNode))]
  return { model, tensors: tensors.filter(isExternal) }
}

/** Every tensor that holds data: constants, and those of attributes and subgraphs. */
function tensorsOf({ initializer, sparseInitializer, node }: GraphProto): TensorProto[] {
  return [...initializer, ...sparseInitializer.flatMap(partsOf), ...node.flatMap(tensorsOfNode)]
}

function tensorsOfNode({ attribute }: NodeProto): TensorProto[] {
  return attribute.flatMap(({ t, tensors, sparseTensor, sparseTensors, g, graphs }) => [
    ...(t ? [t] : []),
    ...tensors,
    ...[...(sparseTensor ? [sparseTensor] : []), ...sparseTensors].flatMap(partsOf),
    ...[...(g ? [g] : []), ...graphs].flatMap(tensorsOf),
  ])
}

function partsOf({ values, indices }: SparseTensorProto): TensorProto[] {
  return [values, indices].filter((tensor) => tensor !== undefined)
}

/** The tensor with its data in a file. */
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
 * Moves a graph's large embedding tables into files of `folder`. The system copies existing files, so that tables never
 * pass through memory and no other program writes into what is mapped; where there is no room, they are linked. Returns
 * the files that were linked.
 *
 * Rejects with the system's error if `folder` is not writable.
 */
export async function settleTables(graph: Graph, folder: string): Promise<TableFile[]> {
  const files = new Map<string, string>()
  const sources: TableFile[] = []
  const nextFile = () => `table-${files.size}.bin`
  for (const [name, tensor] of graph.constants) {
    if (isExternal(tensor)) {
      const { location, start, length } = externalPlace(tensor)
      // A relative symbolic link would lead elsewhere from `folder`.
      const path = await realpath(resolve(graph.folder, location))
      const file = files.get(path) ?? nextFile()
      if (!files.has(path)) {
        if (await linksWithoutRoom(path, join(folder, file)))
          sources.push(await describeFile(resolve(graph.folder, location)))
      }
      files.set(path, file)
      graph.constants.set(name, external(tensor, file, start, length))
    } else if (tensor.rawData.byteLength >= largeTable && isTable(graph, name)) {
      const file = nextFile()
      files.set(file, file)
      await writeFile(join(folder, file), tensor.rawData)
      graph.constants.set(name, external(tensor, file, 0, tensor.rawData.byteLength))
    }
  }
  graph.folder = folder
  return sources
}

async function describeFile(path: string): Promise<TableFile> {
  const { size, mtimeMs } = await stat(path)
  return { path, bytes: size, changed: mtimeMs }
}

/** Rejects with an Error that names the first file that has changed. */
export async function checkTables(files: readonly TableFile[]): Promise<void> {
  for (const { path, bytes, changed } of files) {
    const now = await describeFile(path).catch(() => undefined)
    if (now === undefined) throw new Error(`${path} is gone`)
    if (now.bytes !== bytes || now.changed !== changed) throw new Error(`${path} was changed`)
  }
}

/** Whether a constant is only read through lookups of rows. */
export function isTable(graph: Graph, name: string): boolean {
  const reads = graph.users(name)
  return !graph.isOutput(name) && reads.every(({ opType, input }) => opType === 'Gather' && input[0] === name)
}

/** Copies a file, by sharing its blocks where the file system can; links it where there is no room. Whether it did. */
async function linksWithoutRoom(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE)
    return false
  } catch (error) {
    if (!['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    await rm(to, { force: true })
    await link(from, to)
    return true
  }
}

/** For files of the cache alone: nobody writes into them. */
export async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to))
}

/** Bytes of all constants of a graph. */
export function constantBytes({ constants }: Pick<Graph, 'constants'>): number {
  return [...constants.values()].reduce((sum, tensor) => sum + tensorBytes(tensor), 0)
}

/** Bytes of a tensor's data. */
export function tensorBytes({ dims, dataType }: TensorProto): number {
  return product(dims.map(Number)) * elementSize(dataType)
}

/** Bytes that are read together. */
const chunkBytes = 4 << 20

/** Rows `offset` … `offset + ids` of a float32 table, in chunks of whole rows; `row` is the first of a chunk. */
export function* tablePieces(
  graph: Graph,
  tensor: TensorProto,
  offset: number,
  ids: number,
  dim: number,
): Iterable<{ values: Float32Array; row: number }> {
  if (!isExternal(tensor)) {
    const values = floatsOf(tensor)!
    yield { values: values.subarray(offset * dim, (offset + ids) * dim), row: offset }
    return
  }
  const { location, start } = externalPlace(tensor)
  const perPiece = Math.max(1, Math.floor(chunkBytes / (dim * 4)))
  const buffer = new Float32Array(perPiece * dim)
  const file = openSync(resolve(graph.folder, location), 'r')
  try {
    for (let row = offset; row < offset + ids; row += perPiece) {
      const count = Math.min(perPiece, offset + ids - row) * dim
      const bytes = new Uint8Array(buffer.buffer, 0, count * 4)
      for (let done = 0; done < bytes.length; ) {
        const read = readSync(file, bytes, done, bytes.length - done, start + row * dim * 4 + done)
        if (read === 0) throw new Error(`${location} ends too early`)
        done += read
      }
      yield { values: buffer.subarray(0, count), row }
    }
  } finally {
    closeSync(file)
  }
}

import { copyFile, link, realpath, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { create, fromBinary } from '@bufbuild/protobuf'
import { product } from '../base/dims.ts'
import type { TableFile } from '../contracts/compiled-plan.ts'
import { checkGraphBounds } from './bounds.ts'
import { isExternal } from './constants.ts'
import { elementSize } from './element-size.ts'
import type { Graph } from './graph.ts'
import {
  TensorProto_DataLocation as DataLocation,
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from './onnx_pb.ts'

/** Tables of at least this size, bytes, have files of their own, which all sessions, workers and processes share by mapping. */
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

/** The files, relative to an ONNX file, that contain data of its constants. Throws if it is not an ONNX file. */
export function externalFiles(bytes: Uint8Array): string[] {
  checkGraphBounds(bytes)
  const { graph } = fromBinary(ModelProtoSchema, bytes)
  const constants = graph?.initializer.filter(isExternal) ?? []
  return [...new Set(constants.map((tensor) => externalPlace(tensor).location))]
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
 * Moves a graph's large embedding tables into files of `folder`. Existing files are linked, or else copied by the system, so
 * that tables never pass through memory. Returns the files that were linked or copied.
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
        await linkOrCopy(path, join(folder, file))
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

export async function linkOrCopy(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to))
}

/** Bytes of a tensor's data. */
/** Bytes of all constants of a graph. */
export function constantBytes({ constants }: Pick<Graph, 'constants'>): number {
  return [...constants.values()].reduce((sum, tensor) => sum + bytesOf(tensor), 0)
}

export function bytesOf({ dims, dataType }: TensorProto): number {
  return product(dims.map(Number)) * elementSize(dataType)
}

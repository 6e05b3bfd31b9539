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

/** The files, relative to an ONNX file, that hold the data of its constants. Throws where it is no ONNX file. */
export function externalFiles(bytes: Uint8Array): string[] {
  checkGraphBounds(bytes)
  const { graph } = fromBinary(ModelProtoSchema, bytes)
  const constants = graph?.initializer.filter(isExternal) ?? []
  return [...new Set(constants.map((tensor) => externalPlace(tensor).location))]
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
 * Brings a graph's large embedding tables into files of `folder`. A file is linked, or copied by the system where it can't
 * be: its table never passes through memory. Answers the files that were linked.
 *
 * Rejects with the system's error where `folder` can't be written to.
 */
export async function settleTables(graph: Graph, folder: string): Promise<TableFile[]> {
  const files = new Map<string, string>()
  const sources: TableFile[] = []
  const nextFile = () => `table-${files.size}.bin`
  for (const [name, tensor] of graph.constants) {
    if (isExternal(tensor)) {
      const { location, start, length } = externalPlace(tensor)
      // A link to a link would lead elsewhere from here.
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

/** Rejects with an Error that names the file which is not what it was. */
export async function checkTables(files: readonly TableFile[]): Promise<void> {
  for (const { path, bytes, changed } of files) {
    const now = await describeFile(path).catch(() => undefined)
    if (now === undefined) throw new Error(`${path} is gone`)
    if (now.bytes !== bytes || now.changed !== changed) throw new Error(`${path} was changed`)
  }
}

/** Whether a constant is read row by row alone. */
export function isTable(graph: Graph, name: string): boolean {
  const reads = graph.users(name)
  return !graph.isOutput(name) && reads.every(({ opType, input }) => opType === 'Gather' && input[0] === name)
}

export async function linkOrCopy(from: string, to: string): Promise<void> {
  // A link takes no room.
  await link(from, to).catch(() => copyFile(from, to))
}

/** What a tensor's data takes in memory. */
export function bytesOf({ dims, dataType }: TensorProto): number {
  return product(dims.map(Number)) * elementSize(dataType)
}

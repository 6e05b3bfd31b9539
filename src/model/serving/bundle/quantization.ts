import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelError } from '../../../base/errors.ts'
import { fileReason, sizeOfOrdinary } from '../../../base/files.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import { type Layout, layoutOf } from '../features/layout.ts'
import type { Bundle } from './read.ts'

/**
 * Encoded rows that were not used in training, row-major. The first ⌈rows / 2⌉ set the scales of int8, the others
 * evaluate it.
 */
export interface QuantizationRows {
  rows: number
  /** int32 [rows, sparse fields], ids of the shared id space. */
  sparse: Int32Array
  /** float32 [rows, numeric fields], scaled. */
  dense: Float32Array
  /** float32 [rows, tasks]: 1, 0, or NaN outside the task's sample space. */
  labels: Float32Array | undefined
}

/** Some thousands of rows suffice for scales; these limits only keep a wrong file from exhausting memory. */
export const mostQuantizationRows = 100_000
export const mostQuantizationBytes = 256 * 1024 * 1024

const bytesPerValue = 4

/**
 * The quantization rows of a version whose checksums `readBundle` has verified; undefined if it has none.
 *
 * Rejects with INVALID_BUNDLE, naming the file and the place in it, if it is larger than the bounds above or has
 * another size than the manifest says, or for an id outside its field's range, a dense value that is not finite, or a
 * label other than 1, 0 and NaN.
 */
export async function readQuantizationRows({ folder, manifest }: Bundle): Promise<QuantizationRows | undefined> {
  const { name, version, quantization, tasks } = manifest
  if (quantization === undefined) return undefined
  const { file, rows, labels: labelled } = quantization
  const where = `${name}/${version}/${file}`
  const layout = layoutOf(manifest)
  const [sparseCount, denseCount, labelCount] = [
    rows * layout.sparse.length,
    rows * layout.dense.length,
    labelled ? rows * tasks.length : 0,
  ]
  const size = boundedSize(rows, sparseCount + denseCount + labelCount, where)
  const bytes = await readExactly(join(folder, file), size, where)

  const sparse = new Int32Array(sparseCount)
  for (let i = 0; i < sparseCount; i++) sparse[i] = bytes.readInt32LE(i * bytesPerValue)
  const dense = readFloats(bytes, sparseCount, denseCount)
  const labels = labelled ? readFloats(bytes, sparseCount + denseCount, labelCount) : undefined
  const problem = wrongId(sparse, layout) ?? wrongNumber(dense, layout) ?? (labels && wrongLabel(labels, tasks))
  if (problem !== undefined) invalid(`${where}: ${problem}`)
  return { rows, sparse, dense, labels }
}

/**
 * The content of the file that `readQuantizationRows` reads. Throws INVALID_BUNDLE if it would be too large to be read.
 */
export function encodeQuantizationRows({ rows, sparse, dense, labels = new Float32Array() }: QuantizationRows): Buffer {
  const bytes = Buffer.alloc(boundedSize(rows, sparse.length + dense.length + labels.length, 'quantization rows'))
  let offset = 0
  for (const id of sparse) offset = bytes.writeInt32LE(id, offset)
  for (const values of [dense, labels]) for (const value of values) offset = bytes.writeFloatLE(value, offset)
  return bytes
}

/** Bytes of `values` values. */
function boundedSize(rows: number, values: number, where: string): number {
  if (rows > mostQuantizationRows) invalid(`${where}: ${rows} rows are more than ${mostQuantizationRows}`)
  const size = values * bytesPerValue
  if (size > mostQuantizationBytes) invalid(`${where}: ${size} bytes are more than ${mostQuantizationBytes}`)
  return size
}

/** Checks the size first, so that no more than `size` bytes are read. */
async function readExactly(path: string, size: number, where: string): Promise<Buffer> {
  try {
    const actual = await sizeOfOrdinary(path)
    if (actual !== size) invalid(`${where} has ${actual} bytes, not ${size} as its manifest says`)
    return await readFile(path)
  } catch (cause) {
    if (cause instanceof ModelError) throw cause
    return invalid(`${where} can't be read: ${fileReason(cause)}`, cause)
  }
}

/** `count` values from index `first`. */
function readFloats(bytes: Buffer, first: number, count: number): Float32Array {
  const values = new Float32Array(count)
  for (let i = 0; i < count; i++) values[i] = bytes.readFloatLE((first + i) * bytesPerValue)
  return values
}

function wrongId(sparse: Int32Array, { sparse: fields }: Layout): string | undefined {
  const bad = sparse.findIndex((id, i) => {
    const { offset, ids } = fields[i % fields.length]!
    return id < offset || id >= offset + ids
  })
  if (bad < 0) return undefined
  const { offset, ids, field } = fields[bad % fields.length]!
  return `${place('sparse', bad, fields.length)} is ${sparse[bad]}, not an id of ${field.name}: must be from ${offset} to ${offset + ids - 1}`
}

function wrongNumber(dense: Float32Array, { dense: fields }: Layout): string | undefined {
  const bad = dense.findIndex((value) => !Number.isFinite(value))
  if (bad < 0) return undefined
  return `${place('dense', bad, fields.length)} is ${dense[bad]}: ${fields[bad % fields.length]!.field.name} must be finite`
}

function wrongLabel(labels: Float32Array, tasks: Manifest['tasks']): string | undefined {
  const bad = labels.findIndex((label) => label !== 0 && label !== 1 && !Number.isNaN(label))
  if (bad < 0) return undefined
  return `${place('labels', bad, tasks.length)} is ${labels[bad]}: a label of ${tasks[bad % tasks.length]!.name} must be 1, 0 or NaN`
}

/** JSON pointer to block, row and column. */
const place = (block: string, index: number, width: number) => `/${block}/${Math.floor(index / width)}/${index % width}`

function invalid(message: string, cause?: unknown): never {
  throw new ModelError('INVALID_BUNDLE', message, { cause })
}

import { type FileHandle, open } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf'
import { reasonOf } from '../../../../base/errors.ts'
import { fileProblem, sizeOfOrdinary } from '../../../../base/files.ts'
import { invalidIn, unsupportedIn } from '../../ir/file-errors.ts'
import { readBounded } from '../read-file.ts'
import { type Crc32c, createCrc32c, readSortedTable } from './sorted-table.ts'
import { type ElementType, elementTypeOf, nameOfType, sizeOf } from './tensor-data.ts'
import {
  BundleEntryProtoSchema,
  BundleHeaderProtoSchema,
  BundleHeaderProto_Endianness as Endianness,
} from './tensorflow_pb.ts'

/** The location of a checkpoint's tensor. */
export interface StoredTensor {
  key: string
  type: ElementType
  shape: number[]
  /** Relative to the model's folder. */
  file: string
  offset: number
  /** Bytes, as its type and shape require. */
  length: number
  /** Masked CRC-32C of the bytes. */
  checksum: number
}

/** A checkpoint in TensorFlow's format V2 (its tensor_bundle.proto): an index, and files of concatenated tensors. */
export interface Checkpoint {
  /** Path of the index, for messages. */
  file: string
  /**
   * The tensor of a key. Throws INVALID_BUNDLE if there is none, UNSUPPORTED_GRAPH for sliced tensors and unsupported
   * types.
   */
  find(key: string): StoredTensor
  /** Its bytes, row-major, little-endian. Rejects with INVALID_BUNDLE if the checksum differs. */
  read(tensor: StoredTensor): Promise<Uint8Array<ArrayBuffer>>
  /** Rejects like `read`, without keeping the bytes in memory. */
  verify(tensor: StoredTensor): Promise<void>
}

/** Maximum size of an index, bytes; an entry takes about a hundred. */
const largestIndex = 1 << 26
const chunkBytes = 1 << 20

/**
 * Opens the checkpoint `prefix` below `folder`: `<prefix>.index` and `<prefix>.data-00000-of-00001` and so on.
 *
 * Rejects with INVALID_BUNDLE, naming the file and the place, if the index is missing or damaged.
 */
export async function openCheckpoint(folder: string, prefix: string): Promise<Checkpoint> {
  const file = `${prefix}.index`
  const crc = await createCrc32c()
  const entries = readSortedTable(await readBounded(join(folder, file), file, largestIndex), file, crc)
  const header = entries.get('')
  if (header === undefined) throw invalidIn(file, 'has no header')
  const { numShards, endianness } = parse(BundleHeaderProtoSchema, header, file, 'the header')
  if (endianness !== Endianness.LITTLE) throw unsupportedIn(file, 'its numbers are big-endian')
  const sizes = new Map<string, Promise<number>>()

  function find(key: string): StoredTensor {
    const bytes = entries.get(key)
    if (bytes === undefined || key === '') throw invalidIn(file, `there is no tensor ${key}`)
    const entry = parse(BundleEntryProtoSchema, bytes, file, key)
    if (entry.slices.length > 0) throw unsupportedIn(file, `${key}: is stored in slices`)
    const type = elementTypeOf(entry.dtype)
    if (type === undefined) throw unsupportedIn(file, `${key}: its type ${nameOfType(entry.dtype)} is not supported`)
    const shape = (entry.shape?.dim ?? []).map(({ size }) => Number(size))
    const [offset, length] = [Number(entry.offset), Number(entry.size)]
    if (entry.shape?.unknownRank || shape.some((side) => side < 0) || length !== sizeOf(type, shape))
      throw invalidIn(file, `${key}: its ${length} bytes are not those of ${nameOfType(entry.dtype)} [${shape}]`)
    if (entry.shardId < 0 || entry.shardId >= numShards)
      throw invalidIn(file, `${key}: lies in file ${entry.shardId} of ${numShards}`)
    const [shard, count] = [entry.shardId, numShards].map((n) => String(n).padStart(5, '0'))
    return { key, type, shape, file: `${prefix}.data-${shard}-of-${count}`, offset, length, checksum: entry.crc32c }
  }

  async function checkPlace({ key, file: data, offset, length }: StoredTensor): Promise<void> {
    const size = sizes.get(data) ?? sizeOfOrdinary(join(folder, data)).catch((cause) => missing(data, cause))
    sizes.set(data, size)
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + length > (await size))
      throw invalidIn(file, `${key}: its bytes ${offset} to ${offset + length} lie outside of ${posix.basename(data)}`)
  }

  /** Reads a tensor in chunks into the buffers that `next` returns, and checks it. */
  async function walk(tensor: StoredTensor, next: (done: number) => Uint8Array): Promise<void> {
    await checkPlace(tensor)
    const own = await createCrc32c()
    const handle = await open(join(folder, tensor.file)).catch((cause) => missing(tensor.file, cause))
    try {
      await fill(handle, tensor, own, next)
    } finally {
      await handle.close()
    }
    if (own.masked() !== tensor.checksum)
      throw invalidIn(tensor.file, `${tensor.key}, at byte ${tensor.offset}: is damaged: its checksum is another`)
  }

  async function read(tensor: StoredTensor): Promise<Uint8Array<ArrayBuffer>> {
    await checkPlace(tensor)
    const bytes = new Uint8Array(tensor.length)
    await walk(tensor, (done) => bytes.subarray(done, Math.min(done + chunkBytes, bytes.length)))
    return bytes
  }

  async function verify(tensor: StoredTensor): Promise<void> {
    const chunk = new Uint8Array(chunkBytes)
    await walk(tensor, (done) => chunk.subarray(0, Math.min(chunkBytes, tensor.length - done)))
  }

  return { file, find, read, verify }
}

async function fill(handle: FileHandle, tensor: StoredTensor, crc: Crc32c, next: (done: number) => Uint8Array) {
  for (let done = 0; done < tensor.length; ) {
    const target = next(done)
    const { bytesRead } = await handle.read(target, 0, target.length, tensor.offset + done)
    if (bytesRead === 0) throw invalidIn(tensor.file, `ends within ${tensor.key}`)
    crc.update(target.subarray(0, bytesRead))
    done += bytesRead
  }
}

function parse<T extends DescMessage>(schema: T, bytes: Uint8Array, file: string, what: string): MessageShape<T> {
  try {
    return fromBinary(schema, bytes, { readUnknownFields: false })
  } catch (cause) {
    throw invalidIn(file, `${what}: is damaged: ${reasonOf(cause)}`, cause)
  }
}

function missing(file: string, cause: unknown): never {
  throw invalidIn(file, fileProblem(cause), cause)
}

import { createRequire } from 'node:module'
import type * as Koffi from 'koffi'
import { reasonOf } from '../../../base/errors.ts'
import { missingPackage } from '../../../base/optional-packages.ts'
import { OnednnUnavailable } from './errors.ts'

/*
 * oneDNN's C interface, by koffi: every foreign call of this package is in this file. Handles and addresses are
 * numbers. library.ts checks the sizes.
 */

export type Format = 'float32' | 'bfloat16' | 'int32' | 'int8' | 'uint8'

/** Elements of a matrix in row-major order; `stride`: elements from one row to the next, default: `columns`. */
export interface Matrix {
  rows: number
  columns: number
  format: Format
  stride?: number
}

export const argument = { source: 1, destination: 17, weights: 33, bias: 41, scale: 0x1000 | 33 }

/** The argument of a factor after the product: versions 3 number it differently, and refuse the others' numbers. */
export const factorArguments = [0x8000 | 2, 0x4000 | 2, 0x10000 | 2]

/**
 * Where each column is multiplied by a factor of its own: before the bias is added, or after it. `factor`: the
 * description of a matrix [1, n].
 */
export type Scaling = { order: 'before bias' } | { order: 'after bias'; factor: number }

const types: Record<Format, number> = { float32: 3, bfloat16: 2, int32: 4, int8: 5, uint8: 6 }
const cpu = 1
const sequential = 1
const anyOrder = 1
const relu = 0x20
const multiply = 0x1fff1
/** Bits of a matrix' dimensions: the columns. */
const columns = 2
const query = { implementation: 8, weights: 131 }
/** A memory object whose memory is named later. */
const none = 0

/** koffi, an optional dependency. Throws OnednnUnavailable. */
export function loadKoffi(): typeof Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as typeof Koffi
  } catch (cause) {
    throw new OnednnUnavailable(missingPackage(cause) ?? `koffi does not load: ${reasonOf(cause).split('\n')[0]}`, {
      cause,
    })
  }
}

/** Declares functions of a library; handles and addresses are numbers. */
function declarations(library: Koffi.LibraryHandle) {
  const declare = (result: string, name: string, ...parameters: string[]) =>
    library.func(`${result} ${name}(${parameters.map((type, i) => `${type} p${i}`).join(', ')})`)
  /** A function that returns a status. */
  const checked = (name: string, ...parameters: string[]) => {
    const call = declare('int', name, ...parameters)
    return (...values: unknown[]): void => {
      const status = call(...values)
      if (status !== 0) throw new Error(`${name}: ${statuses[status] ?? `status ${status}`}`)
    }
  }
  /** A function whose first parameter receives what it makes. */
  const made = (name: string, ...parameters: string[]) => {
    const call = checked(name, `_Out_ ${handle} *`, ...parameters)
    return (...values: unknown[]): number => {
      const result = [0]
      call(result, ...values)
      return result[0]!
    }
  }
  return { declare, checked, made }
}

const handle = 'uintptr_t'

export type Binding = ReturnType<typeof bind>

/** The functions of oneDNN that are used. Throws where one is missing; what they return throws where a call fails. */
export function bind(koffi: typeof Koffi, library: Koffi.LibraryHandle) {
  const { declare, made } = declarations(library)
  const version = declare('int *', 'dnnl_version')
  const engineCreate = made('dnnl_engine_create', 'int', 'size_t')
  const streamCreate = made('dnnl_stream_create', handle, 'uint32_t')
  return {
    version: (): string => koffi.decode(version(), koffi.array('int', 3)).join('.'),
    /** The widest instruction set that the library uses, as bits. */
    instructions: declare('int', 'dnnl_get_effective_cpu_isa') as () => number,
    /** Sets the threads of this thread's calls, if the library computes with OpenMP. */
    setThreads: optional(() => declare('void', 'omp_set_num_threads', 'int')),
    createEngine: () => engineCreate(cpu, 0),
    createStream: (engine: number) => streamCreate(engine, sequential),
    ...bindMatrices(library),
    ...bindPrimitives(library),
    addressOf: (buffer: ArrayBuffer): number => Number(koffi.address(new Uint8Array(buffer))),
  }
}

/** Matrices as the interface describes them, and memory objects, which give them a place. */
function bindMatrices(library: Koffi.LibraryHandle) {
  const { declare, checked, made } = declarations(library)
  const withStrides = made('dnnl_memory_desc_create_with_strides', 'int', 'int64_t *', 'int', 'int64_t *')
  const withOrder = made('dnnl_memory_desc_create_with_tag', 'int', 'int64_t *', 'int', 'int')
  const equal = declare('int', 'dnnl_memory_desc_equal', handle, handle)
  const size = declare('size_t', 'dnnl_memory_desc_get_size', handle)
  const memory = made('dnnl_memory_create', handle, handle, handle)
  return {
    matrix: ({ rows, columns, format, stride = columns }: Matrix) =>
      withStrides(2, [rows, columns], types[format], [stride, 1]),
    vector: (length: number, format: Format) => withStrides(1, [length], types[format], [1]),
    /** A matrix in the order that a product likes best. */
    anyMatrix: (rows: number, columns: number, format: Format) =>
      withOrder(2, [rows, columns], types[format], anyOrder),
    destroyMatrix: checked('dnnl_memory_desc_destroy', handle),
    isSame: (a: number, b: number) => equal(a, b) === 1,
    bytesOf: (matrix: number) => Number(size(matrix)),
    createMemory: (matrix: number, engine: number) => memory(matrix, engine, none),
    destroyMemory: checked('dnnl_memory_destroy', handle),
    setHandle: checked('dnnl_memory_set_data_handle', handle, handle) as (memory: number, address: number) => void,
  }
}

/** Products and conversions: described, created, and executed. */
function bindPrimitives(library: Koffi.LibraryHandle) {
  const { declare, checked, made } = declarations(library)
  const post = { create: made('dnnl_post_ops_create'), destroy: checked('dnnl_post_ops_destroy', handle) }
  const appendEltwise = checked('dnnl_post_ops_append_eltwise', handle, 'int', 'float', 'float')
  const appendBinary = checked('dnnl_post_ops_append_binary', handle, 'int', handle)
  const setScales = checked('dnnl_primitive_attr_set_scales_mask', handle, 'int', 'int')
  const attributes = {
    create: made('dnnl_primitive_attr_create'),
    destroy: checked('dnnl_primitive_attr_destroy', handle),
  }
  const setPost = checked('dnnl_primitive_attr_set_post_ops', handle, handle)
  const product = made('dnnl_matmul_primitive_desc_create', handle, handle, handle, handle, handle, handle)
  const reorder = made('dnnl_reorder_primitive_desc_create', handle, handle, handle, handle, handle)
  const matrixOf = declare(handle, 'dnnl_primitive_desc_query_md', handle, 'int', 'int')
  const clone = made('dnnl_memory_desc_clone', handle)
  const textOf = checked('dnnl_primitive_desc_query', handle, 'int', 'int', '_Out_ const char **')
  const create = made('dnnl_primitive_create', handle)
  const destroyDescription = checked('dnnl_primitive_desc_destroy', handle)
  return {
    /** A product with a bias, factors of its columns, and a ReLU if `clips`. */
    describeProduct(
      engine: number,
      { x, weights, bias, out }: Record<'x' | 'weights' | 'bias' | 'out', number>,
      clips: boolean,
      scaling?: Scaling,
    ): number {
      const [attribute, after] = [attributes.create(), post.create()]
      try {
        if (scaling?.order === 'before bias') setScales(attribute, argument.weights, columns)
        if (scaling?.order === 'after bias') appendBinary(after, multiply, scaling.factor)
        if (clips) appendEltwise(after, relu, 0, 0)
        setPost(attribute, after)
        return product(engine, x, weights, bias, out, attribute)
      } finally {
        post.destroy(after)
        attributes.destroy(attribute)
      }
    },
    describeConversion: (engine: number, from: number, to: number) => reorder(from, engine, to, engine, none),
    /** The matrix that a product takes its weights as; lives on. */
    weightsOf: (description: number) => clone(matrixOf(description, query.weights, 0)),
    implementationOf(description: number): string {
      const text = [null]
      textOf(description, query.implementation, 0, text)
      return `${text[0]}`
    },
    /** Its description is destroyed. */
    createPrimitive(description: number): number {
      try {
        return create(description)
      } finally {
        destroyDescription(description)
      }
    },
    destroyPrimitive: checked('dnnl_primitive_destroy', handle),
    /** Arguments of a primitive, in the form that the interface reads; keep them while they are used. */
    argumentsOf(list: readonly (readonly [argument: number, memory: number])[]): ArrayBuffer {
      const buffer = new ArrayBuffer(16 * list.length)
      const view = new DataView(buffer)
      list.forEach(([argument, memory], i) => {
        view.setInt32(16 * i, argument, true)
        view.setBigUint64(16 * i + 8, BigInt(memory), true)
      })
      return buffer
    },
    execute: checked('dnnl_primitive_execute', handle, handle, 'int', handle) as (
      primitive: number,
      stream: number,
      count: number,
      list: number,
    ) => void,
  }
}

/** Maps bytes of a file, to be read; memory that all threads and processes share. */
export function bindMapping(koffi: typeof Koffi) {
  const { declare } = declarations(koffi.load('libc.so.6'))
  const map = declare(handle, 'mmap', handle, 'size_t', 'int', 'int', 'int', 'int64_t')
  const unmap = declare('int', 'munmap', handle, 'size_t')
  return (file: number, start: number, bytes: number): { buffer: ArrayBuffer; release(): void } => {
    const address = map(0, bytes, readable, shared, file, start)
    if (address === failed || Number(address) >= 2 ** 63) throw new Error(`${bytes} bytes of a table can't be mapped`)
    return { buffer: koffi.view(address, bytes), release: () => void unmap(address, bytes) }
  }
}

const readable = 1
const shared = 1
const failed = 2n ** 64n - 1n

const statuses: Record<number, string> = {
  1: 'out of memory',
  2: 'invalid arguments',
  3: 'not implemented here',
  4: 'iterator ends',
  5: 'runtime error',
  6: 'not required',
}

function optional<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}

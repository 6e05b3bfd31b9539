import { fstatSync } from 'node:fs'
import { endianness } from 'node:os'
import type * as Koffi from 'koffi'
import { reasonOf } from '../base/errors.ts'
import { argument, type Binding, bind, bindMapping, type Format, loadKoffi, type Matrix, sizes } from './binding.ts'
import { findLibrary } from './find-library.ts'
import { OnednnUnavailable } from './unavailable.ts'

/*
 * Products and copies of matrices by oneDNN. A wrong address would end the process, so that memory is named by a region and a
 * place in it, and each call checks that what it reads and writes lies inside.
 */

/** Memory that a call may read or write: `at` bytes into a region. */
export interface Place {
  region: Region
  at: number
}

/** A block of memory whose address does not change. */
export interface Region {
  readonly address: number
  readonly bytes: number
  /** Keeps the memory. */
  readonly buffer: ArrayBuffer
}

export interface ProductShape {
  rows: number
  k: number
  n: number
  /** Of x and of the weights. */
  input: Format
  /** Elements from one row of x to the next; default: k. */
  stride?: number
  output: Format
  relu: boolean
}

/** x [rows, k] · weights [k, n] + bias [n] float32, for a fixed number of rows. */
export interface Product {
  /** The layout of its weights. */
  readonly layout: number
  run(x: Place, weights: Weights, bias: Place, out: Place): void
}

/** A matrix [k, n], by the layouts in which products read it. */
export interface Weights {
  readonly k: number
  readonly n: number
  readonly layouts: ReadonlyMap<number, Region>
}

/** Copies a matrix into another format. */
export interface Conversion {
  run(from: Place, to: Place): void
}

/** Instruction sets as bits; the wider includes the narrower. */
const sets = { AMX: 0xfef, 'AVX512-BF16': 0xe7, 'AVX-512': 0x27 }
/** What a line of the processor's cache holds, bytes: where memory begins best. */
const line = 64
/** A file is mapped from the beginning of one on. */
const page = 4096

let opened: Library | OnednnUnavailable | undefined

/** The library, opened once per thread. Throws OnednnUnavailable. */
export function openLibrary(): Library {
  if (opened === undefined) {
    try {
      opened = new Library()
    } catch (error) {
      opened = error instanceof OnednnUnavailable ? error : new OnednnUnavailable(reasonOf(error), { cause: error })
    }
  }
  if (opened instanceof OnednnUnavailable) throw opened
  return opened
}

/** The library, where its products in bfloat16 are faster than those in float32: AVX-512 alone emulates them. Throws OnednnUnavailable. */
export function openFastLibrary(): Library {
  const library = openLibrary()
  if (library.instructions === 'AVX-512')
    throw new OnednnUnavailable('the processor has neither AMX nor AVX512-BF16, or ONEDNN_MAX_CPU_ISA masks them')
  return library
}

/** oneDNN on this thread. Calls compute in the calling thread. */
export class Library {
  /** Such as `3.2.0`. */
  readonly version: string
  /** The widest instructions that it uses here. */
  readonly instructions: 'AMX' | 'AVX512-BF16' | 'AVX-512'
  readonly #functions: Binding
  readonly #map: ReturnType<typeof bindMapping>
  readonly #engine: number
  readonly #stream: number
  readonly #regions = new WeakMap<ArrayBuffer, Region>()
  readonly #products = new Map<string, Product>()
  readonly #conversions = new Map<string, Conversion>()
  /** Descriptions of weights that differ; a layout is an index. */
  readonly #layouts: number[] = []

  constructor() {
    const found = findLibrary()
    if ('reason' in found) throw new OnednnUnavailable(found.reason)
    if (endianness() !== 'LE') throw new OnednnUnavailable('this processor is big-endian')
    const koffi = loadKoffi()
    let library: Koffi.LibraryHandle
    try {
      library = koffi.load(found.path)
    } catch (cause) {
      throw new OnednnUnavailable(`${found.path} can't be loaded: ${reasonOf(cause)}`, { cause })
    }
    try {
      this.#functions = bind(koffi, library)
      this.#map = bindMapping(koffi)
    } catch (cause) {
      throw new OnednnUnavailable(`${found.path} is no oneDNN 3: ${reasonOf(cause)}`, { cause })
    }
    this.version = this.#functions.version()
    if (!this.version.startsWith('3.'))
      throw new OnednnUnavailable(`${found.path} is oneDNN ${this.version}: version 3 is needed`)
    const isa = this.#functions.instructions()
    const widest = (['AMX', 'AVX512-BF16', 'AVX-512'] as const).find((name) => (isa & sets[name]) === sets[name])
    if (widest === undefined)
      throw new OnednnUnavailable('the processor has no AVX-512, or ONEDNN_MAX_CPU_ISA masks it')
    this.instructions = widest
    // A call has one thread, as those of ONNX Runtime have: the other processors have calls of their own.
    this.#functions.setThreads?.(1)
    this.#engine = this.#functions.createEngine()
    this.#stream = this.#functions.createStream(this.#engine)
  }

  /** Such as `oneDNN 3.2.0, AMX`. */
  get title(): string {
    return `oneDNN ${this.version}, ${this.instructions}`
  }

  /** A buffer as a region. It must live as long as calls name the region, and not grow. */
  region(buffer: ArrayBuffer): Region {
    let region = this.#regions.get(buffer)
    if (region === undefined) {
      region = { address: this.#functions.addressOf(buffer), bytes: buffer.byteLength, buffer }
      this.#regions.set(buffer, region)
    }
    return region
  }

  /** Maps bytes of a file, which is open; memory that all threads and processes share, and that must not be read once it is released. */
  map(file: number, start: number, bytes: number): { buffer: ArrayBuffer; offset: number; release(): void } {
    const { size } = fstatSync(file)
    if (start + bytes > size) throw new RangeError(`the file has ${size} bytes, and the table ends at ${start + bytes}`)
    const offset = start % page
    return { offset, ...this.#map(file, start - offset, bytes + offset) }
  }

  /** The product for this shape. Throws where the library can't compute it. */
  product(shape: ProductShape): Product {
    const { rows, k, n, input, stride, output, relu } = shape
    const key = `${rows} ${k} ${n} ${input} ${stride} ${output} ${relu}`
    let product = this.#products.get(key)
    if (product === undefined) {
      product = this.#createProduct(shape)
      this.#products.set(key, product)
    }
    return product
  }

  #createProduct({ rows, k, n, input, stride = k, output, relu: clips }: ProductShape): Product {
    const f = this.#functions
    const x = { rows, columns: k, format: input, stride }
    const source = f.matrix(x)
    const anyWeights = f.anyMatrix(k, n, input)
    const bias = f.matrix({ rows: 1, columns: n, format: 'float32' })
    const destination = f.matrix({ rows, columns: n, format: output })
    const description = f.describeProduct(this.#engine, source, anyWeights, bias, destination, clips)
    const layout = this.#layoutOf(f.weightsOf(description))
    const implementation = f.implementationOf(description)
    const primitive = f.createPrimitive(description)
    // Others are correct, and up to a thousand times slower than ONNX Runtime.
    if (implementation.startsWith('ref')) throw new Error(`oneDNN has no fast product [${rows}, ${k}] · [${k}, ${n}]`)
    const weightsBytes = f.bytesOf(this.#layouts[layout]!)
    const memories = {
      source: f.createMemory(source, this.#engine),
      weights: f.createMemory(this.#layouts[layout]!, this.#engine),
      bias: f.createMemory(bias, this.#engine),
      destination: f.createMemory(destination, this.#engine),
    }
    const list = this.region(
      f.argumentsOf([
        [argument.source, memories.source],
        [argument.weights, memories.weights],
        [argument.bias, memories.bias],
        [argument.destination, memories.destination],
      ]),
    )
    const bytes = { x: bytesOf(x), bias: n * sizes.float32, out: rows * n * sizes[output] }
    for (const used of [source, anyWeights, bias, destination]) f.destroyMatrix(used)
    return {
      layout,
      run: (x, weights, biasAt, out) => {
        const packed = weights.layouts.get(layout)
        if (packed === undefined || weights.k !== k || weights.n !== n)
          throw new RangeError(`weights [${weights.k}, ${weights.n}] are not those of a product [${k}, ${n}]`)
        f.setHandle(memories.source, addressOf(x, bytes.x))
        f.setHandle(memories.weights, addressOf({ region: packed, at: 0 }, weightsBytes))
        f.setHandle(memories.bias, addressOf(biasAt, bytes.bias))
        f.setHandle(memories.destination, addressOf(out, bytes.out))
        f.execute(primitive, this.#stream, 4, list.address)
      },
    }
  }

  #layoutOf(description: number): number {
    const known = this.#layouts.findIndex((other) => this.#functions.isSame(other, description))
    return known >= 0 ? known : this.#layouts.push(description) - 1
  }

  /** Copies a matrix [k, n] into the layouts of these products. */
  pack(values: Float32Array, k: number, n: number, products: readonly Product[]): Weights {
    if (values.length !== k * n) throw new RangeError(`${values.length} values are no matrix [${k}, ${n}]`)
    const f = this.#functions
    const plain = new ArrayBuffer(values.byteLength)
    new Float32Array(plain).set(values)
    const layouts = new Map<number, Region>()
    for (const layout of new Set(products.map((product) => product.layout))) {
      const target = this.#layouts[layout]!
      const packed = this.#aligned(f.bytesOf(target))
      const source = f.matrix({ rows: k, columns: n, format: 'float32' })
      const conversion = this.#createConversion(source, target, values.byteLength, packed.bytes)
      f.destroyMatrix(source)
      conversion.run({ region: this.region(plain), at: 0 }, { region: packed, at: 0 })
      conversion.release()
      layouts.set(layout, packed)
    }
    return { k, n, layouts }
  }

  /** Memory that begins at a line of the processor's cache. */
  #aligned(bytes: number): Region {
    const buffer = new ArrayBuffer(bytes + line)
    const address = this.#functions.addressOf(buffer)
    const start = Math.ceil(address / line) * line
    return { address: start, bytes, buffer }
  }

  /** Copies a matrix into another format or stride. */
  conversion(from: Matrix, to: Matrix): Conversion {
    const key = [from, to].map(({ rows, columns, format, stride }) => [rows, columns, format, stride]).join()
    let conversion = this.#conversions.get(key)
    if (conversion === undefined) {
      if (from.rows !== to.rows || from.columns !== to.columns)
        throw new RangeError('a copy has the sides of its source')
      const f = this.#functions
      const [source, target] = [f.matrix(from), f.matrix(to)]
      conversion = this.#createConversion(source, target, bytesOf(from), bytesOf(to))
      for (const used of [source, target]) f.destroyMatrix(used)
      this.#conversions.set(key, conversion)
    }
    return conversion
  }

  #createConversion(from: number, to: number, fromBytes: number, toBytes: number): Conversion & { release(): void } {
    const f = this.#functions
    const primitive = f.createPrimitive(f.describeConversion(this.#engine, from, to))
    const source = f.createMemory(from, this.#engine)
    const target = f.createMemory(to, this.#engine)
    const list = this.region(
      f.argumentsOf([
        [argument.source, source],
        [argument.destination, target],
      ]),
    )
    return {
      run: (fromAt, toAt) => {
        f.setHandle(source, addressOf(fromAt, fromBytes))
        f.setHandle(target, addressOf(toAt, toBytes))
        f.execute(primitive, this.#stream, 2, list.address)
      },
      release() {
        f.destroyPrimitive(primitive)
        f.destroyMemory(source)
        f.destroyMemory(target)
      },
    }
  }
}

/** The address of a place with room for `bytes`. */
function addressOf({ region, at }: Place, bytes: number): number {
  if (!(at >= 0 && at + bytes <= region.bytes))
    throw new RangeError(`${bytes} bytes at ${at} are not inside a region of ${region.bytes} bytes`)
  return region.address + at
}

/** From the first element to behind the last. */
function bytesOf({ rows, columns, stride = columns, format }: Matrix): number {
  return rows === 0 ? 0 : ((rows - 1) * stride + columns) * sizes[format]
}

import { fstatSync } from 'node:fs'
import { endianness } from 'node:os'
import type * as Koffi from 'koffi'
import { reasonOf } from '../../../base/errors.ts'
import { classOfBits } from '../../../base/processor.ts'
import { type Binding, bind, bindMapping, factorArguments, loadKoffi, type Matrix } from './binding.ts'
import { OnednnUnavailable } from './errors.ts'
import { checkIsUnchanged, checkIsWhole, findLibrary } from './find-library.ts'
import { type Instructions, instructionsOf, lackingFor } from './instructions.ts'
import {
  type Conversion,
  createConversion,
  createProduct,
  type Maker,
  matrixBytes,
  type Place,
  type Product,
  type ProductShape,
  type Region,
  Shared,
  type Weights,
} from './primitives.ts'
import { amxTiling, avx512Tiling, type Tiling } from './tiling.ts'

/** Size of a line of the processor's cache, bytes: memory best begins where a line does. */
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

/** The library, where its products in this precision are faster than ONNX Runtime's. Throws OnednnUnavailable. */
export function openFastLibrary(precision: 'bfloat16' | 'int8'): Library {
  const found = findLibrary()
  // Threads that open it later trust what this one has read.
  if (opened === undefined && 'path' in found) checkIsUnchanged(found.path)
  const library = openLibrary()
  const lacking = lackingFor(precision, library.instructions)
  if (lacking !== undefined)
    throw new OnednnUnavailable(`the processor has ${lacking}, or ONEDNN_MAX_CPU_ISA masks them`)
  return library
}

/** oneDNN on this thread. Calls compute in the calling thread. */
export class Library {
  /** Such as `3.2.0`. */
  readonly version: string
  /** The widest instructions that it uses here. */
  readonly instructions: Instructions
  readonly tiling: Tiling
  readonly #functions: Binding
  readonly #map: ReturnType<typeof bindMapping>
  readonly #maker: Omit<Maker, 'factorArgument'>
  #factorArgument: number | undefined
  readonly #regions = new WeakMap<ArrayBuffer, Region>()
  /** Products and conversions. */
  readonly #primitives = new Shared()
  /** Descriptions of weights that differ; a layout is an index. */
  readonly #layouts: number[] = []

  constructor() {
    const found = findLibrary()
    if ('reason' in found) throw new OnednnUnavailable(found.reason)
    checkIsWhole(found.path)
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
    const widest = instructionsOf(classOfBits(this.#functions.instructions()))
    if (widest === undefined)
      throw new OnednnUnavailable('the processor has no AVX-512, or ONEDNN_MAX_CPU_ISA masks it')
    this.instructions = widest
    this.tiling = widest === 'AMX' ? amxTiling : avx512Tiling
    // A call has one thread, as those of ONNX Runtime have: the other processors have calls of their own.
    this.#functions.setThreads?.(1)
    const engine = this.#functions.createEngine()
    this.#maker = {
      functions: this.#functions,
      engine,
      stream: this.#functions.createStream(engine),
      region: (buffer) => this.region(buffer),
      layoutOf: (description) => this.#layoutOf(description),
      weightsOf: (layout) => this.#layouts[layout]!,
    }
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

  /**
   * Maps bytes of a file, which is open; memory that all threads and processes share, and that must not be read once it
   * is released.
   */
  map(file: number, start: number, bytes: number): { buffer: ArrayBuffer; offset: number; release(): void } {
    const { size } = fstatSync(file)
    if (start + bytes > size) throw new RangeError(`the file has ${size} bytes, and the table ends at ${start + bytes}`)
    const offset = start % page
    return { offset, ...this.#map(file, start - offset, bytes + offset) }
  }

  /** The product for this shape, to be given back. Throws where the library can't compute it. */
  product(shape: ProductShape): Product {
    const { rows, k, n, input, stride, output, relu } = shape
    return this.#primitives.take(`product ${rows} ${k} ${n} ${input} ${stride} ${output} ${relu}`, () => {
      this.#factorArgument ??= output === 'uint8' ? this.#findFactorArgument() : undefined
      return createProduct({ ...this.#maker, factorArgument: this.#factorArgument ?? 0 }, shape)
    })
  }

  /** Takes a product or a conversion back: nothing of it may run any more. */
  takeBack(primitive: Product | Conversion): void {
    this.#primitives.give(primitive)
  }

  /**
   * The number that this version gives to factors after the product: the first one by which a product of zeros is
   * right.
   */
  #findFactorArgument(): number {
    const shape: ProductShape = { rows: 1, k: 64, n: 64, input: 'uint8', output: 'uint8', relu: false }
    const region = this.region(new ArrayBuffer(512))
    const out = new Uint8Array(region.buffer, 0, 64)
    new Int32Array(region.buffer, 256).fill(2)
    for (const factorArgument of factorArguments) {
      const product = createProduct({ ...this.#maker, factorArgument }, shape)
      const weights = this.pack(new Int8Array(64 * 64), 64, 64, [product], new Float32Array(64).fill(1.5))
      const bound = product.bind(weights)
      try {
        bound.run({ region, at: 128 }, { region, at: 256 }, { region, at: 0 })
      } catch {
        continue
      } finally {
        bound.release()
        product.release()
      }
      if (out.every((byte) => byte === 3)) return factorArgument
    }
    throw new OnednnUnavailable(`oneDNN ${this.version} does not multiply bytes as it should`)
  }

  #layoutOf(description: number): number {
    const known = this.#layouts.findIndex((other) => this.#functions.isSame(other, description))
    if (known < 0) return this.#layouts.push(description) - 1
    this.#functions.destroyMatrix(description)
    return known
  }

  /** Copies a matrix [k, n] into the layouts of these products; `scale` [n]: of weights for bytes. */
  pack(
    values: Float32Array | Int8Array,
    k: number,
    n: number,
    products: readonly Product[],
    scale?: Float32Array,
  ): Weights {
    if (values.length !== k * n) throw new RangeError(`${values.length} values are no matrix [${k}, ${n}]`)
    if (scale && scale.length !== n) throw new RangeError(`${scale.length} factors are no scale of ${n} columns`)
    const f = this.#functions
    const plain = this.#copy(values)
    const layouts = new Map<number, Region>()
    for (const layout of new Set(products.map((product) => product.layout))) {
      const target = this.#layouts[layout]!
      const packed = this.#aligned(f.bytesOf(target))
      const source = f.matrix({ rows: k, columns: n, format: values instanceof Int8Array ? 'int8' : 'float32' })
      const conversion = createConversion(this.#maker, source, target, values.byteLength, packed.bytes)
      f.destroyMatrix(source)
      conversion.run({ region: plain, at: 0 }, { region: packed, at: 0 })
      conversion.release()
      layouts.set(layout, packed)
    }
    return { k, n, layouts, ...(scale && { scale: this.#copy(scale) }) }
  }

  /**
   * Weights [k, n] of these products, zeros at first: `refill` copies a plain float32 matrix into their layouts. The
   * conversions are to be given back.
   */
  refillable(
    k: number,
    n: number,
    products: readonly Product[],
  ): { weights: Weights; refill(plain: Place): void; conversions: Conversion[] } {
    const weights = this.pack(new Float32Array(k * n), k, n, products)
    const packed = [...weights.layouts].map(([layout, region]) => {
      const conversion = this.#primitives.take(`layout ${k} ${n} ${layout}`, () => {
        const source = this.#functions.matrix({ rows: k, columns: n, format: 'float32' })
        const made = createConversion(this.#maker, source, this.#layouts[layout]!, k * n * 4, region.bytes)
        this.#functions.destroyMatrix(source)
        return made
      })
      return { conversion, to: { region, at: 0 } }
    })
    return {
      weights,
      refill(plain) {
        for (const { conversion, to } of packed) conversion.run(plain, to)
      },
      conversions: packed.map(({ conversion }) => conversion),
    }
  }

  /** A region as words. */
  words({ address, bytes, buffer }: Region): Int32Array {
    return new Int32Array(buffer, address - this.#functions.addressOf(buffer), bytes / 4)
  }

  #copy(values: Float32Array | Int8Array): Region {
    const buffer = new ArrayBuffer(values.byteLength)
    new Uint8Array(buffer).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    return this.region(buffer)
  }

  /** Memory that begins at a line of the processor's cache. */
  #aligned(bytes: number): Region {
    const buffer = new ArrayBuffer(bytes + line)
    const address = this.#functions.addressOf(buffer)
    const start = Math.ceil(address / line) * line
    return { address: start, bytes, buffer }
  }

  /** Copies a matrix into another format or stride; to be given back. */
  conversion(from: Matrix, to: Matrix): Conversion {
    const sides = [from, to].map(({ rows, columns, format, stride }) => [rows, columns, format, stride])
    return this.#primitives.take(`conversion ${sides}`, () => {
      if (from.rows !== to.rows || from.columns !== to.columns)
        throw new RangeError('a copy has the sides of its source')
      const f = this.#functions
      const [source, target] = [f.matrix(from), f.matrix(to)]
      const conversion = createConversion(this.#maker, source, target, matrixBytes(from), matrixBytes(to))
      for (const used of [source, target]) f.destroyMatrix(used)
      return conversion
    })
  }
}

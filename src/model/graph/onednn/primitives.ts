import { sizes } from '../rows/tensor.ts'
import { argument, type Binding, type Format, type Matrix, type Scaling } from './binding.ts'

/*
 * Products and copies of matrices as objects that run. Memory is named by a region and a place in it; each call checks
 * that what it reads and writes lies inside.
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
  /** Format of x, and of the weights; bytes (uint8) have weights in int8. */
  input: 'float32' | 'bfloat16' | 'uint8'
  /** Elements from one row of x to the next; default: k. */
  stride?: number
  /** Format of the output, for bytes: float32, int32 or uint8; otherwise float32 or bfloat16. */
  output: Format
  relu: boolean
}

/**
 * x [rows, k] · weights [k, n] + bias [n], for a fixed number of rows. For bytes, with a float32 scale per column:
 * - to float32: x · weights · scale + bias, a float32 bias;
 * - to uint8: (x · weights + bias) · scale, an int32 bias; rounded, halves to even, within 0 … 255;
 * - to int32: x · weights + bias, an int32 bias; no scale.
 *
 * Sums of integers are exact as far as their absolute value is below 2^24.
 */
export interface Product {
  /** The layout of its weights. */
  readonly layout: number
  /** The product with these weights. Throws RangeError where they are not its own. */
  bind(weights: Weights): BoundProduct
}

/** A product with its weights. Places that do not change from call to call cost nothing. */
export interface BoundProduct {
  /** Keeps their memory, which the library knows by its address alone. */
  readonly weights: Weights
  run(x: Place, bias: Place, out: Place): void
  /** Frees it: no call may follow. */
  release(): void
}

/** A matrix [k, n], by the layouts in which products read it. */
export interface Weights {
  readonly k: number
  readonly n: number
  readonly layouts: ReadonlyMap<number, Region>
  /** The scale of each column, float32 [n]. */
  readonly scale?: Region
}

/** Copies a matrix into another format. */
export interface Conversion {
  run(from: Place, to: Place): void
}

/** The environment in which primitives are made. */
export interface Maker {
  functions: Binding
  engine: number
  stream: number
  region(buffer: ArrayBuffer): Region
  /** The index of a description of weights, which it takes over; two that are equal have one. */
  layoutOf(description: number): number
  /** The description of a layout. */
  weightsOf(layout: number): number
  /** The argument of factors after a product, where any product has them. */
  factorArgument: number
}

/** Throws where the library can't compute it. */
export function createProduct(maker: Maker, shape: ProductShape): Product & Releasable {
  const { rows, k, n, input, stride = k, output, relu } = shape
  const { functions: f, engine, stream } = maker
  const isBytes = input === 'uint8'
  const biasFormat: Format = isBytes && output !== 'float32' ? 'int32' : 'float32'
  const x = { rows, columns: k, format: input, stride }
  const matrices = {
    x: f.matrix(x),
    weights: f.anyMatrix(k, n, isBytes ? 'int8' : input),
    bias: f.matrix({ rows: 1, columns: n, format: biasFormat }),
    out: f.matrix({ rows, columns: n, format: output }),
  }
  const scale = scaleOf(maker, shape)
  const description = f.describeProduct(engine, matrices, relu, scale?.scaling)
  // From here on the layout stands for it.
  f.destroyMatrix(matrices.weights)
  const layout = maker.layoutOf(f.weightsOf(description))
  const weightsMatrix = maker.weightsOf(layout)
  const weightsBytes = f.bytesOf(weightsMatrix)
  const implementation = f.implementationOf(description)
  const primitive = f.createPrimitive(description)
  // Others are correct, and up to a thousand times slower than ONNX Runtime.
  if (implementation.startsWith('ref')) throw new Error(`oneDNN has no fast product [${rows}, ${k}] · [${k}, ${n}]`)
  const bytes = { x: matrixBytes(x), bias: n * sizes[biasFormat], out: rows * n * sizes[output] }
  return {
    layout,
    bind(weights) {
      const packed = weights.layouts.get(layout)
      if (packed === undefined || weights.k !== k || weights.n !== n)
        throw new RangeError(`weights [${weights.k}, ${weights.n}] are not those of a product [${k}, ${n}]`)
      if (scale && weights.scale === undefined) throw new RangeError('weights of bytes have no scale')
      const memories = {
        source: f.createMemory(matrices.x, engine),
        weights: f.createMemory(weightsMatrix, engine),
        bias: f.createMemory(matrices.bias, engine),
        destination: f.createMemory(matrices.out, engine),
        ...(scale && { scale: f.createMemory(scale.matrix, engine) }),
      }
      f.setHandle(memories.weights, addressOf({ region: packed, at: 0 }, weightsBytes))
      if (memories.scale) f.setHandle(memories.scale, addressOf({ region: weights.scale!, at: 0 }, 4 * n))
      const numbers = { ...argument, ...(scale && { scale: scale.argument }) }
      const named = Object.entries(memories).map(
        ([name, memory]) => [numbers[name as keyof typeof memories], memory] as const,
      )
      const list = maker.region(f.argumentsOf(named))
      const moveX = mover(f, memories.source, bytes.x)
      const moveBias = mover(f, memories.bias, bytes.bias)
      const moveOut = mover(f, memories.destination, bytes.out)
      return {
        weights,
        run(x, bias, out) {
          moveX(x)
          moveBias(bias)
          moveOut(out)
          f.execute(primitive, stream, named.length, list.address)
        },
        release() {
          for (const memory of Object.values(memories)) f.destroyMemory(memory)
        },
      }
    },
    release() {
      f.destroyPrimitive(primitive)
      for (const matrix of [matrices.x, matrices.bias, matrices.out]) f.destroyMatrix(matrix)
      if (scale) f.destroyMatrix(scale.matrix)
    },
  }
}

/** How a product of bytes is scaled: the description of its scale, and the argument that it is. */
function scaleOf(
  { functions: f, factorArgument }: Maker,
  { n, input, output }: ProductShape,
): { scaling: Scaling; matrix: number; argument: number } | undefined {
  if (input !== 'uint8' || output === 'int32') return undefined
  if (output === 'float32')
    return { scaling: { order: 'before bias' }, matrix: f.vector(n, 'float32'), argument: argument.scale }
  const factor = f.matrix({ rows: 1, columns: n, format: 'float32' })
  return { scaling: { order: 'after bias', factor }, matrix: factor, argument: factorArgument }
}

export function createConversion(
  { functions: f, engine, stream, region }: Omit<Maker, 'factorArgument'>,
  from: number,
  to: number,
  fromBytes: number,
  toBytes: number,
): Conversion & Releasable {
  const primitive = f.createPrimitive(f.describeConversion(engine, from, to))
  const source = f.createMemory(from, engine)
  const target = f.createMemory(to, engine)
  const list = region(
    f.argumentsOf([
      [argument.source, source],
      [argument.destination, target],
    ]),
  )
  return {
    run: (fromAt, toAt) => {
      f.setHandle(source, addressOf(fromAt, fromBytes))
      f.setHandle(target, addressOf(toAt, toBytes))
      f.execute(primitive, stream, 2, list.address)
    },
    release() {
      f.destroyPrimitive(primitive)
      f.destroyMemory(source)
      f.destroyMemory(target)
    },
  }
}

/** Puts a memory object of `bytes` somewhere; to leave it where it is costs nothing. */
function mover(f: Binding, memory: number, bytes: number): (to: Place) => void {
  let last = -1
  return (to) => {
    const address = addressOf(to, bytes)
    if (address === last) return
    f.setHandle(memory, address)
    last = address
  }
}

/** The address of a place with room for `bytes`. */
function addressOf({ region, at }: Place, bytes: number): number {
  if (!(at >= 0 && at + bytes <= region.bytes))
    throw new RangeError(`${bytes} bytes at ${at} are not inside a region of ${region.bytes} bytes`)
  return region.address + at
}

/** From the first element to behind the last. */
export function matrixBytes({ rows, columns, stride = columns, format }: Matrix): number {
  return rows === 0 ? 0 : ((rows - 1) * stride + columns) * sizes[format]
}

/** A thing that has to be freed: nothing may use it afterwards. */
export interface Releasable {
  release(): void
}

/** Makes a thing once for all that use it, and frees it with the last of them. */
export class Shared {
  readonly #entries = new Map<string, { value: Releasable; users: number }>()
  readonly #keys = new Map<object, string>()

  /** All values of a key have one type. */
  take<T extends Releasable>(key: string, make: () => T): T {
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { value: make(), users: 0 }
      this.#entries.set(key, entry)
      this.#keys.set(entry.value, key)
    }
    entry.users++
    return entry.value as T
  }

  /** Each that took it gives it back once. */
  give(value: object): void {
    const key = this.#keys.get(value)!
    const entry = this.#entries.get(key)!
    if (--entry.users > 0) return
    this.#entries.delete(key)
    this.#keys.delete(value)
    entry.value.release()
  }
}

import { product } from '../../../base/arrays.ts'
import { ModelError } from '../../../base/errors.ts'

/*
 * An independent definition of every layer that can be imported, for one row in float64. A converted model's answers
 * are compared with it. Shapes are those of a row, without the batch.
 */

/** One row's tensor, row-major. */
export interface RowTensor {
  dims: number[]
  values: Float64Array
}

export type Config = Record<string, unknown>

export interface Operation {
  /** The shape of the output. Throws UNSUPPORTED_GRAPH if the inputs do not fit. */
  dims(inputs: number[][], config: Config): number[]
  /** Names and shapes of the layer's weights, in the order in which Keras stores them. */
  weights?(inputs: number[][], config: Config): [name: string, shape: number[]][]
  run(inputs: RowTensor[], config: Config, weights: Record<string, Float32Array>, dims: number[]): Float64Array
}

/** Most multiplications in a Dot of one row. */
const mostProducts = 2 ** 26

export function unfit(message: string): ModelError {
  return new ModelError('UNSUPPORTED_GRAPH', message)
}

const activations: Record<string, (x: number) => number> = {
  linear: (x) => x,
  relu: (x) => Math.max(0, x),
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  tanh: Math.tanh,
}

export const knownActivations = [...Object.keys(activations), 'softmax']

const same: Operation = { dims: (inputs) => only(inputs), run: ([x]) => x!.values }

const reshaped = (target: (dims: number[], config: Config) => number[]): Operation => ({
  dims: (inputs, config) => target(only(inputs), config),
  run: ([x]) => x!.values,
})

const merge = (combine: (values: number[]) => number): Operation => ({
  dims: broadcast,
  run: (inputs, _, __, dims) =>
    Float64Array.from({ length: product(dims) }, (_, i) =>
      combine(inputs.map(({ dims: own, values }) => values[repeated(i, dims, own)]!)),
    ),
})

export const operations: Record<string, Operation> = {
  Activation: {
    ...same,
    run: ([x], { activation }) => activate(x!.values, x!.dims.at(-1)!, activation as string),
  },
  Add: merge((values) => values.reduce((sum, value) => sum + value, 0)),
  Average: merge((values) => values.reduce((sum, value) => sum + value, 0) / values.length),
  Maximum: merge((values) => Math.max(...values)),
  Multiply: merge((values) => values.reduce((product, value) => product * value, 1)),
  BatchNormalization: {
    dims(inputs, { axis }) {
      const dims = only(inputs)
      if (dims.length !== 1 || axisOf(axis, 1) !== 0)
        throw unfit('is supported only along the last axis of an input of rank 2')
      return dims
    },
    weights(inputs, { scale, center }) {
      const width = only(inputs)
      return [
        ...(scale ? [['gamma', width] satisfies [string, number[]]] : []),
        ...(center ? [['beta', width] satisfies [string, number[]]] : []),
        ['moving_mean', width],
        ['moving_variance', width],
      ]
    },
    run: ([x], { epsilon }, { gamma, beta, moving_mean: mean, moving_variance: variance }) =>
      x!.values.map(
        (value, i) =>
          ((value - mean![i]!) / Math.sqrt(variance![i]! + (epsilon as number))) * (gamma?.[i] ?? 1) + (beta?.[i] ?? 0),
      ),
  },
  Concatenate: {
    dims(inputs, { axis }) {
      const [first] = inputs
      const at = axisOf(axis, first!.length)
      const fits = inputs.every(
        (dims) => dims.length === first!.length && dims.every((side, i) => i === at || side === first![i]),
      )
      if (!fits) throw unfit(`can't concatenate ${shown(inputs)}`)
      return first!.with(
        at,
        inputs.reduce((sum, dims) => sum + dims[at]!, 0),
      )
    },
    run(inputs, { axis }, _, dims) {
      const at = axisOf(axis, dims.length)
      const blocks = inputs.map((input) => ({ values: input.values, length: product(input.dims.slice(at)) }))
      const joined = new Float64Array(product(dims))
      for (let offset = 0, outer = 0; offset < joined.length; outer++)
        for (const { values, length } of blocks) {
          joined.set(values.subarray(outer * length, (outer + 1) * length), offset)
          offset += length
        }
      return joined
    },
  },
  Dense: {
    dims: (inputs, { units }) => [...only(inputs).slice(0, -1), units as number],
    weights: (inputs, { units, use_bias: biased }) => [
      ['kernel', [only(inputs).at(-1)!, units as number]],
      ...(biased ? [['bias', [units as number]] satisfies [string, number[]]] : []),
    ],
    run: ([x], { units, activation }, { kernel, bias }) =>
      activate(multiply(x!.values, kernel!, units as number, bias), units as number, activation as string),
  },
  Dot: {
    dims(inputs, { axes }) {
      const [x, y] = inputs
      if (inputs.length !== 2 || inputs.some((dims) => dims.length < 1 || dims.length > 2))
        throw unfit('supports only two inputs of rank 2 or 3')
      const [over, under] = dotAxes(axes, x!, y!)
      if (x![over] !== y![under]) throw unfit(`can't multiply ${shown(inputs)} over ${JSON.stringify(axes)}`)
      if ((product(x!) * product(y!)) / x![over]! > mostProducts)
        throw unfit(`multiplies ${shown(inputs)}, which exceeds ${mostProducts} products`)
      const rest = [...x!.toSpliced(over, 1), ...y!.toSpliced(under, 1)]
      return rest.length === 0 ? [1] : rest
    },
    run([x, y], { axes }, _, dims) {
      const [over, under] = dotAxes(axes, x!.dims, y!.dims)
      const left = lines(x!, over)
      const right = lines(y!, under)
      return Float64Array.from({ length: product(dims) }, (_, i) => {
        const b = right[i % right.length]!
        return left[Math.floor(i / right.length)]!.reduce((sum, value, k) => sum + value * b[k]!, 0)
      })
    },
  },
  Dropout: same,
  Embedding: {
    dims: (inputs, { output_dim: width }) => [...only(inputs), width as number],
    weights: (_, { input_dim: ids, output_dim: width }) => [['embeddings', [ids as number, width as number]]],
    run: ([x], { output_dim }, { embeddings: table }) => {
      const width = output_dim as number
      const rows = new Float64Array(x!.values.length * width)
      x!.values.forEach((id, i) => {
        rows.set(table!.subarray(id * width, (id + 1) * width), i * width)
      })
      return rows
    },
  },
  Flatten: reshaped((dims) => [product(dims)]),
  GlobalAveragePooling1D: {
    dims(inputs) {
      const dims = only(inputs)
      if (dims.length !== 2) throw unfit(`needs an input of rank 3, not ${shown(inputs)}`)
      return [dims[1]!]
    },
    run: ([x], _, __, [width]) =>
      Float64Array.from({ length: width! }, (_, column) => {
        const rows = x!.dims[0]!
        let sum = 0
        for (let row = 0; row < rows; row++) sum += x!.values[row * width! + column]!
        return sum / rows
      }),
  },
  ReLU: {
    ...same,
    run: ([x], { max_value: most }) =>
      x!.values.map((value) => Math.min(Math.max(0, value), (most as number) ?? Infinity)),
  },
  Reshape: reshaped((dims, { target_shape }) => {
    const target = target_shape as (number | null)[]
    const known = product(target.map((side) => (side === null || side === -1 ? 1 : side)))
    const full = target.map((side) => (side === null || side === -1 ? product(dims) / known : side))
    if (
      full.length === 0 ||
      !full.every((side) => Number.isInteger(side) && side > 0) ||
      product(full) !== product(dims)
    )
      throw unfit(`[${dims}] can't take the shape ${JSON.stringify(target)}`)
    return full
  }),
  Softmax: {
    dims(inputs, { axis }) {
      const dims = only(inputs)
      if (axisOf(axis, dims.length) !== dims.length - 1) throw unfit('is supported along the last axis only')
      return dims
    },
    run: ([x]) => activate(x!.values, x!.dims.at(-1)!, 'softmax'),
  },
}

/** Applies the activation to rows of `width` values. */
export function activate(values: Float64Array, width: number, activation: string): Float64Array {
  if (activation !== 'softmax') return values.map(activations[activation]!)
  const out = values.slice()
  for (let start = 0; start < out.length; start += width) {
    const row = out.subarray(start, start + width)
    const most = row.reduce((a, b) => Math.max(a, b), -Infinity)
    row.forEach((value, i) => {
      row[i] = Math.exp(value - most)
    })
    const sum = row.reduce((a, b) => a + b, 0)
    row.forEach((value, i) => {
      row[i] = value / sum
    })
  }
  return out
}

/** [n, in] · [in, units] + bias → [n, units] */
export function multiply(x: Float64Array, kernel: Float32Array, units: number, bias?: Float32Array): Float64Array {
  const width = kernel.length / units
  const out = new Float64Array((x.length / width) * units)
  for (let start = 0, to = 0; start < x.length; start += width, to += units) {
    for (let j = 0; j < units; j++) out[to + j] = bias?.[j] ?? 0
    for (let i = 0; i < width; i++) {
      const value = x[start + i]!
      for (let j = 0; j < units; j++) out[to + j]! += value * kernel[i * units + j]!
    }
  }
  return out
}

function only(inputs: number[][]): number[] {
  if (inputs.length !== 1) throw unfit(`has ${inputs.length} inputs, not one`)
  return inputs[0]!
}

/** Keras counts the batch as axis 0. */
function axisOf(axis: unknown, rank: number): number {
  const single = Array.isArray(axis) && axis.length === 1 ? axis[0] : axis
  const index = typeof single === 'number' && single < 0 ? single + rank : Number(single) - 1
  if (!Number.isInteger(index) || index < 0 || index >= rank) throw unfit(`has no axis ${JSON.stringify(axis)}`)
  return index
}

function dotAxes(axes: unknown, x: number[], y: number[]): [number, number] {
  const [first, second] = Array.isArray(axes) ? axes : [axes, axes]
  return [axisOf(first, x.length), axisOf(second, y.length)]
}

/** The vectors of a vector or matrix along one axis. */
function lines({ dims, values }: RowTensor, axis: number): Float64Array[] {
  if (dims.length === 1) return [values]
  const [rows, columns] = dims as [number, number]
  return axis === 1
    ? Array.from({ length: rows }, (_, row) => values.subarray(row * columns, (row + 1) * columns))
    : Array.from({ length: columns }, (_, column) =>
        Float64Array.from({ length: rows }, (_, row) => values[row * columns + column]!),
      )
}

function broadcast(inputs: number[][]): number[] {
  const [first] = inputs
  if (inputs.length < 2) throw unfit('needs at least two inputs')
  return first!.map((_, i) => {
    const sides = new Set(inputs.map((dims) => dims[i]!).filter((side) => side !== 1))
    if (sides.size > 1 || inputs.some((dims) => dims.length !== first!.length))
      throw unfit(`can't broadcast ${shown(inputs)}`)
    return [...sides][0] ?? 1
  })
}

/** Maps `index` in the broadcast shape `dims` to an index in a tensor of shape `own`. */
function repeated(index: number, dims: number[], own: number[]): number {
  let place = 0
  let rest = index
  let step = 1
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    const at = rest % dims[axis]!
    rest = Math.floor(rest / dims[axis]!)
    if (own[axis] !== 1) place += at * step
    step *= own[axis]!
  }
  return place
}

const shown = (inputs: number[][]) => inputs.map((dims) => `[${dims}]`).join(', ')

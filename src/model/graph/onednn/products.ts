import { equal, product } from '../../../base/arrays.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { NotTranslated } from '../rows/errors.ts'
import { productsBy } from '../rows/mixture.ts'
import type { Each, Frame } from '../rows/program.ts'
import { type Part, sizes, type Tensor, usedRange } from '../rows/tensor.ts'
import type { Format } from './binding.ts'
import { type Joined, joinRequests } from './joined-products.ts'
import { filled, mostNarrow, type Operand } from './operand.ts'
import type { BoundProduct } from './primitives.ts'
import { type DenseWeights, type Products, productsOf } from './products-by-rows.ts'
import type { MakeRunner, OnednnTranslation } from './translation.ts'

/* Products by oneDNN, or, of a few columns, by the kernel. */

export const products = productsBy(dense)

function dense(t: OnednnTranslation, node: NodeProto, x: string, weights: string, bias: string | undefined): void {
  const [name] = node.output as [string]
  const from = t.tensor(x)
  const { dims, values } = t.constant(weights)
  const [k, n] = dims as [number, number]
  if (dims.length !== 2 || !equal(from.dims, [k])) throw new NotTranslated(`a product of [${from.dims}] and [${dims}]`)
  const own = bias !== undefined && !t.isConstant(bias) ? ownBias(t, bias, from, n) : undefined
  const { byRequest, byRow } = own ?? {}
  const format = t.fusion.formatOf(weights, from)
  const operand = t.operand(from, format)
  const clips = t.relus.take(name)
  const floor = clips ? 0 : Number.NEGATIVE_INFINITY
  const added = own === undefined ? biasOf(t, bias, n) : new Float32Array(n)
  const columns = format === 'float32' && own === undefined ? narrowColumns(k, n, values) : undefined
  if (columns) {
    pushNarrow(t, from.each, operand, columns, added, t.answer(node, from.each, [n], 'float32'), floor)
    return
  }
  // Behind the bias of a request, memory belongs to other columns.
  const filledUp = t.tiling.padded(n)
  const rounds = operand.format === 'bfloat16' && byRow === undefined && (byRequest === undefined || n === filledUp)
  const hidden = rounds && t.fusion.isHidden(name)
  const width = hidden ? filledUp : n
  const relu = clips && byRow === undefined
  if (operand.format === 'bfloat16' && own === undefined && !hidden && n > t.tiling.mostColumns) {
    t.set(name, cutProduct(t, { k, n, values }, operand, from.each, added, relu))
    return
  }
  const to = t.result(from.each, [n], hidden ? 'bfloat16' : 'float32', width)
  t.set(name, to)
  const { each } = from
  const products = productsOf(t, { k, n, values }, operand, { each, columns: width, output: to.kind, relu })
  const run = runProducts(t, products, operand, to)
  if (byRequest !== undefined) {
    const joined =
      operand.format === 'bfloat16' ? joinRequests(t, { x: operand, k, products, run, bias: byRequest }) : undefined
    pushByRequest(t, run, byRequest, joined)
    return
  }
  pushAlike(t, run, each, filled(added, n, width))
  if (byRow) t.program.step((frame) => (call) => addRows(frame, call[each], byRow, to.parts[0]!, floor))
}

/** Adds steps: a product whose columns are computed in parts. */
function cutProduct(
  t: OnednnTranslation,
  { k, n, values }: { k: number; n: number; values: Float32Array },
  x: Operand,
  each: Each,
  bias: Float32Array,
  relu: boolean,
): Tensor {
  const parts: Part[] = []
  for (let start = 0; start < n; start += t.tiling.mostColumns) {
    const width = Math.min(t.tiling.mostColumns, n - start)
    const weights = new Float32Array(k * width)
    for (let row = 0; row < k; row++)
      weights.set(values.subarray(row * n + start, row * n + start + width), row * width)
    const to = t.result(each, [width], 'float32')
    parts.push(to.parts[0]!)
    const run = runProduct(t, { k, n: width, values: weights }, x, to, relu)
    pushAlike(t, run, each, bias.slice(start, start + width))
  }
  return { each, dims: [n], kind: 'float32', parts }
}

/** A constant bias; zeros where there is none. */
function biasOf(t: OnednnTranslation, bias: string | undefined, n: number): Float32Array {
  if (bias === undefined) return new Float32Array(n)
  const { dims, values } = t.constant(bias)
  if (product(dims) !== n) throw new NotTranslated('Gemm with a bias of another width')
  return values
}

/** Weights [k, n], of which a few are not zero: of each column those from `start` to `end`, whole numbers of 4. */
type Columns = { start: number; end: number; values: Float32Array }[]

/**
 * The weights of each column, if the kernel multiplies by them: last layers of a few tasks, each of which reads columns
 * of its own.
 */
function narrowColumns(k: number, n: number, weights: Float32Array): Columns | undefined {
  if (k % 4 !== 0) return undefined
  const columns = Array.from({ length: n }, (_, column) => {
    const all = Float32Array.from({ length: k }, (_, row) => weights[row * n + column]!)
    const { start, end } = usedRange(k, (row) => all[row] !== 0)
    return { start, end, values: all.slice(start, end) }
  })
  return columns.reduce((sum, { values }) => sum + values.length, 0) <= mostNarrow ? columns : undefined
}

/** Adds a step: a product of a few columns by the kernel. */
function pushNarrow(
  t: OnednnTranslation,
  each: Each,
  x: Operand,
  columns: Columns,
  bias: Float32Array,
  out: Part,
  floor: number,
): void {
  const weights = columns.map(({ values }) => t.program.fixed(values))
  // One row of the buffer holds the list: every frame has at least one.
  const list = t.program.buffer(columns.length * 16)
  t.program.step(({ at, integers, floats, dot }) => {
    const first = at[list]! / 4
    columns.forEach(({ start, end }, i) => {
      const entry = first + 4 * i
      integers[entry] = at[weights[i]!]!
      integers[entry + 1] = start * 4
      integers[entry + 2] = end * 4
      floats[entry + 3] = bias[i]!
    })
    const from = at[x.buffer]! + x.offset * 4
    const target = at[out.buffer]! + out.offset * 4
    return (call) => dot(call[each], from, x.stride * 4, at[list]!, columns.length, target, out.stride * 4, floor)
  })
}

/** Adds a step: a product with the bias of each row's request. */
export function pushByRequest(t: OnednnTranslation, run: MakeRunner, bias: Part, together?: Joined): void {
  t.program.step((frame) => {
    const region = t.library.region(frame.buffer)
    const first = frame.at[bias.buffer]! + bias.offset * 4
    const runRows = run(frame)
    const compute = together?.step(frame)
    return (call) => {
      if (together?.requests.isActive) {
        compute!(call)
        return
      }
      const { requests, starts } = call
      for (let request = 0; request < requests; request++)
        runRows(call, starts[request]!, starts[request + 1]!, { region, at: first + request * bias.stride * 4 })
    }
  })
}

/** Adds a step: a product with the same bias for all rows. */
export function pushAlike(t: OnednnTranslation, run: MakeRunner, each: Each, bias: Float32Array | Int32Array): void {
  const place = t.placed(bias)
  t.program.step((frame) => {
    const runRows = run(frame)
    return (call) => runRows(call, 0, call[each], place)
  })
}

/** The bias of each request, where it is a row of a tensor of requests; otherwise that of each row. */
function ownBias(t: OnednnTranslation, bias: string, x: Tensor, n: number): { byRequest?: Part; byRow?: Part } {
  const tensor = t.tensor(bias)
  const { ofRequest } = tensor
  if (ofRequest !== undefined && x.each === 'rows' && equal(ofRequest.dims, [n]))
    return { byRequest: t.whole(ofRequest).part }
  if (tensor.kind !== 'float32' || tensor.each !== x.each || !equal(tensor.dims, [n]))
    throw new NotTranslated('Gemm with a bias of other dimensions')
  return { byRow: t.whole(tensor).part }
}

/** out = max(out + more, floor). */
function addRows({ at, floats }: Frame, rows: number, more: Part, out: Part, floor: number): void {
  const from = at[more.buffer]! / 4 + more.offset
  const to = at[out.buffer]! / 4 + out.offset
  for (let row = 0; row < rows; row++)
    for (let i = 0; i < out.width; i++)
      floats[to + row * out.stride + i] = Math.max(
        floats[to + row * out.stride + i]! + floats[from + row * more.stride + i]!,
        floor,
      )
}

/** A product whose result fills the rows of a tensor. */
export function runProduct(
  t: OnednnTranslation,
  weights: DenseWeights,
  operand: Operand,
  to: Tensor & { kind: Format },
  relu: boolean,
): MakeRunner {
  const { each, kind: output, parts } = to
  const products = productsOf(t, weights, operand, { each, columns: parts[0]!.stride, output, relu })
  return runProducts(t, products, operand, to)
}

function runProducts(t: OnednnTranslation, products: Products, operand: Operand, { kind, parts }: Tensor): MakeRunner {
  const [out] = parts as [Part]
  const bytes = sizes[kind]
  const size = sizes[operand.format]
  const bound: BoundProduct[] = []
  return ({ buffer, at }) => {
    const region = t.library.region(buffer)
    const own = { region, at: at[operand.buffer]! + operand.offset * size }
    const target = at[out.buffer]! + out.offset * bytes
    return (call, start, end, bias) => {
      const source = operand.input === undefined ? own : t.placeOf(call, operand.input)
      t.tiling.inChunks(start, end, (row, index) => {
        bound[index] ??= t.bind(products[index]!.product, products[index]!.weights)
        const x = { region: source.region, at: source.at + row * operand.stride * size }
        bound[index].run(x, bias, { region, at: target + row * out.stride * bytes })
      })
    }
  }
}

import { equal, product } from '../../../base/arrays.ts'
import { isPlain } from '../ir/gemm.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { NotTranslated } from './errors.ts'
import type { Each } from './program.ts'
import { type Part, type Tensor, usedRange } from './tensor.ts'
import type { Translation, Translator } from './translation.ts'

/* Products, of which those of two tensors of the rows are mixtures of experts. */

/**
 * Translators of products by a constant [k, n], which `dense` computes; of two tensors of the rows a product is a
 * mixture of experts.
 */
export function productsBy<T extends Translation>(
  dense: (t: T, node: NodeProto, x: string, weights: string, bias: string | undefined) => void,
): Record<'Gemm' | 'MatMul', Translator<T>> {
  return {
    Gemm(t, node) {
      const [x, weights, bias] = node.input as [string, string, string | undefined]
      if (!isPlain(node)) throw new NotTranslated('Gemm with factors or transposed operands')
      // An empty name stands for none.
      dense(t, node, x, weights, bias || undefined)
    },
    MatMul(t, node) {
      const [left, right] = node.input as [string, string]
      if (t.isConstant(right)) dense(t, node, left, right, undefined)
      else mixture(t, node)
    },
  }
}

/** Gates [… , tasks, experts] · experts [… , experts, width]. */
function mixture(t: Translation, node: NodeProto): void {
  const [name] = node.output as [string]
  const [left, right] = node.input as [string, string]
  const gates = t.floats(left, node)
  const experts = t.tensor(right)
  const [tasks, count] = gates.dims.slice(-2) as [number, number]
  const [own, width] = experts.dims.slice(-2) as [number, number]
  const batch = gates.dims.slice(0, -2)
  const fits = gates.dims.length >= 2 && own === count && equal(experts.dims.slice(0, -2), batch)
  if (!fits || gates.each !== experts.each) throw new NotTranslated(`MatMul of [${gates.dims}] and [${experts.dims}]`)
  const isKernels = batch.length === 0 && width % 4 === 0
  const parts = isKernels ? expertParts(experts, count, width) : undefined
  const read = parts === undefined ? t.floats(right, node) : undefined
  const out = t.answer(node, gates.each, [...batch, tasks, width], 'float32')
  const floor = t.relus.take(name) ? 0 : Number.NEGATIVE_INFINITY
  if (isKernels)
    mixByKernel(t, gates, parts ?? expertParts(read!, count, width)!, columnsRead(t, name, tasks, width), out, floor)
  else mixEach(t, gates, read!.part, { batch: product(batch), tasks, count, width }, out, floor)
}

/** Columns of a task, whole numbers of 4. */
interface Columns {
  start: number
  end: number
}

/** Adds a step: computes the columns of each task that are read; the others keep their zeros. */
function mixByKernel(
  t: Translation,
  { each, part: gate }: { each: Each; part: Part },
  experts: readonly Part[],
  ranges: readonly Columns[],
  out: Part,
  floor: number,
): void {
  const { length: count } = experts
  const { width } = experts[0]!
  // One row of a buffer holds the list: every frame has at least one.
  const list = t.program.buffer(count * 8)
  // Tasks that need all columns share a call.
  const isWhole = ranges.every(({ start, end }) => start === 0 && end === width)
  const calls = isWhole
    ? [{ tasks: ranges.length, first: 0, start: 0, end: width }]
    : ranges.map((range, first) => ({ tasks: 1, first, ...range }))
  t.program.step(({ at, integers, mix }) => {
    const entries = at[list]! / 4
    return (call) => {
      for (const { tasks, first, start, end } of calls) {
        for (let i = 0; i < count; i++) {
          const { buffer, offset, stride } = experts[i]!
          integers[entries + 2 * i] = at[buffer]! + (offset + start) * 4
          integers[entries + 2 * i + 1] = stride * 4
        }
        const from = at[gate.buffer]! + (gate.offset + first * count) * 4
        const to = at[out.buffer]! + (out.offset + first * width + start) * 4
        mix(call[each], tasks, at[list]!, count, from, gate.stride * 4, to, out.stride * 4, (end - start) * 4, floor)
      }
    }
  })
}

/** Adds a step: the same for widths that the kernel doesn't take, and for several mixtures of a row. */
function mixEach(
  t: Translation,
  { each, part: gate }: { each: Each; part: Part },
  experts: Part,
  { batch, tasks, count, width }: { batch: number; tasks: number; count: number; width: number },
  out: Part,
  floor: number,
): void {
  const zeros = t.program.fixed(new Float32Array(width))
  t.program.step(({ at, denseRow }) => (call) => {
    for (let row = 0; row < call[each]; row++) {
      const x = at[gate.buffer]! + (gate.offset + row * gate.stride) * 4
      const w = at[experts.buffer]! + (experts.offset + row * experts.stride) * 4
      const to = at[out.buffer]! + row * out.stride * 4
      for (let i = 0; i < batch * tasks; i++) {
        const own = w + Math.floor(i / tasks) * count * width * 4
        denseRow(x + i * count * 4, count, own, width, at[zeros]!, floor, to + i * width * 4)
      }
    }
  })
}

/**
 * The columns that the product after a mixture reads of each task: the compiler joins first layers of towers, and each
 * has its own.
 */
function columnsRead(t: Translation, mixed: string, tasks: number, width: number): Columns[] {
  const weights = weightsAfter(t, mixed)
  const { dims: [k, n] = [], values } = weights === undefined ? { values: new Float32Array(0) } : t.constant(weights)
  return Array.from({ length: tasks }, (_, task) => {
    if (k !== tasks * width) return { start: 0, end: width }
    return usedRange(width, (i) => {
      const row = (task * width + i) * n!
      return values.subarray(row, row + n!).some((value) => value !== 0)
    })
  })
}

/** The constant weights of the product that alone reads a tensor, perhaps reshaped or clipped. */
function weightsAfter(t: Translation, name: string): string | undefined {
  const [user] = t.graph.users(name)
  if (user === undefined || !t.graph.isPrivate(name, user)) return undefined
  if (['Reshape', 'Flatten', 'Relu'].includes(user.opType)) return weightsAfter(t, user.output[0]!)
  const [x, weights] = user.input as [string, string]
  const isProduct = user.opType === 'MatMul' || (user.opType === 'Gemm' && isPlain(user))
  return isProduct && x === name && t.isConstant(weights) ? weights : undefined
}

/** The experts' rows, each a part or columns of one; undefined where an expert lies in two. */
function expertParts({ kind, parts, input, ofRequest }: Tensor, count: number, width: number): Part[] | undefined {
  if (kind !== 'float32' || input !== undefined || ofRequest !== undefined) return undefined
  if (parts.some((part) => part.width % width !== 0)) return undefined
  const experts = parts.flatMap((part) =>
    Array.from({ length: part.width / width }, (_, i) => ({ ...part, offset: part.offset + i * width, width })),
  )
  return experts.length === count ? experts : undefined
}

import { isPlain } from '../ir/gemm.ts'
import type { NodeProto } from '../ir/onnx_pb.ts'
import { NotTranslated } from './errors.ts'
import type { Each, Frame, Step } from './program.ts'
import { type Part, type Tensor, usedRange } from './tensor.ts'
import type { Translation } from './translation.ts'

/* Mixtures of experts, by the kernel. */

/** Gates [tasks, experts] · experts [experts, width]. */
export function mixture(t: Translation, node: NodeProto): void {
  const [name] = node.output as [string]
  const [left, right] = node.input as [string, string]
  const gates = t.floats(left, node)
  const experts = t.tensor(right)
  const [tasks, count] = gates.dims as [number, number]
  const width = experts.dims[1]!
  const fits = gates.dims.length === 2 && experts.dims.length === 2 && experts.dims[0] === count
  if (!fits || gates.each !== experts.each) throw new NotTranslated(`MatMul of [${gates.dims}] and [${experts.dims}]`)
  const parts = expertParts(experts, count, width) ?? expertParts(t.floats(right, node), count, width)!
  const to = t.result(gates.each, [tasks, width], 'float32')
  t.set(name, to)
  const [out] = to.parts as [Part]
  const floor = t.fusion.relus.take(name) ? 0 : Number.NEGATIVE_INFINITY
  const ranges = columnsRead(t, name, tasks, width)
  t.program.steps.push(
    width % 4 === 0
      ? mixByKernel(t, gates, parts, ranges, out, floor)
      : (frame, call) => mixOne(frame, call[gates.each], tasks, parts, gates.part, out, floor),
  )
}

/** Columns of a task, whole numbers of 4. */
interface Columns {
  start: number
  end: number
}

/** Computes the columns of each task that are read; the others keep their zeros. */
function mixByKernel(
  t: Translation,
  { each, part: gate }: { each: Each; part: Part },
  experts: readonly Part[],
  ranges: readonly Columns[],
  out: Part,
  floor: number,
): Step {
  const { length: count } = experts
  const { width } = experts[0]!
  // One row of a buffer holds the list: every frame has at least one.
  const list = t.program.buffer(count * 8)
  // Tasks that need all columns share a call.
  const isWhole = ranges.every(({ start, end }) => start === 0 && end === width)
  const calls = isWhole
    ? [{ tasks: ranges.length, first: 0, start: 0, end: width }]
    : ranges.map((range, first) => ({ tasks: 1, first, ...range }))
  return ({ at, integers, mix }, call) => {
    const entries = at[list]! / 4
    for (const { tasks, first, start, end } of calls) {
      experts.forEach(({ buffer, offset, stride }, i) => {
        integers[entries + 2 * i] = at[buffer]! + (offset + start) * 4
        integers[entries + 2 * i + 1] = stride * 4
      })
      const from = at[gate.buffer]! + (gate.offset + first * count) * 4
      const target = at[out.buffer]! + (out.offset + first * width + start) * 4
      mix(call[each], tasks, at[list]!, count, from, gate.stride * 4, target, out.stride * 4, (end - start) * 4, floor)
    }
  }
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

/** Computes the same as the kernel, for widths that the kernel doesn't take. */
function mixOne(
  { at, floats }: Frame,
  rows: number,
  tasks: number,
  experts: readonly Part[],
  gates: Part,
  out: Part,
  floor: number,
): void {
  const place = ({ buffer, offset, stride }: Part, row: number) => at[buffer]! / 4 + offset + row * stride
  const { width } = experts[0]!
  for (let row = 0; row < rows; row++) {
    const gate = place(gates, row)
    const from = experts.map((expert) => place(expert, row))
    for (let task = 0; task < tasks; task++) {
      const target = place(out, row) + task * width
      for (let i = 0; i < width; i++) {
        let sum = 0
        for (let e = 0; e < experts.length; e++)
          sum += floats[gate + task * experts.length + e]! * floats[from[e]! + i]!
        floats[target + i] = Math.max(sum, floor)
      }
    }
  }
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

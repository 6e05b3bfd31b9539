import { equal, product } from '../base/dims.ts'
import { floatAttribute, intAttribute } from '../graph/attributes.ts'
import type { NodeProto } from '../graph/onnx_pb.ts'
import type { Product, Weights } from './library.ts'
import { NotTranslated } from './not-translated.ts'
import { type Frame, inChunks } from './program.ts'
import { type Operand, type Part, padded, type Tensor, type Translation } from './translation.ts'

/* Products by oneDNN, and mixtures of experts by the kernel. */

export function gemm(t: Translation, node: NodeProto): void {
  const [x, weights, bias] = node.input as [string, string, string | undefined]
  const plain =
    floatAttribute(node, 'alpha', 1) === 1 &&
    floatAttribute(node, 'beta', 1) === 1 &&
    [intAttribute(node, 'transA', 0), intAttribute(node, 'transB', 0)].every((given) => given === 0)
  if (!plain) throw new NotTranslated('Gemm with factors or transposed operands')
  dense(t, node, x, weights, bias)
}

/** By a constant [k, n], or, as a mixture of experts has it, of two tensors of the rows. */
export function matMul(t: Translation, node: NodeProto): void {
  const [left, right] = node.input as [string, string]
  if (t.isConstant(right)) dense(t, node, left, right, undefined)
  else mixture(t, node)
}

function dense(t: Translation, node: NodeProto, x: string, weights: string, bias: string | undefined): void {
  const [name] = node.output as [string]
  const from = t.tensor(x)
  const { dims, values } = t.constant(weights)
  const [k, n] = dims as [number, number]
  if (dims.length !== 2 || !equal(from.dims, [k])) throw new NotTranslated(`a product of [${from.dims}] and [${dims}]`)
  const byRequest = bias !== undefined && !t.isConstant(bias) ? biasByRequest(t, bias, from, n) : undefined
  // Behind the bias of a request, memory belongs to other columns.
  const hidden = t.isHidden(name) && (byRequest === undefined || n === padded(n))
  const columns = hidden ? padded(n) : n
  const relu = t.takesRelu(name)
  const operand = t.operand(from)
  const to = t.result(from.each, [n], hidden ? 'bfloat16' : 'float32', columns)
  t.set(name, to)
  const { products, packed } = t.products({ k, n, values }, operand.stride, columns, to.kind as 'float32', relu)
  const [out] = to.parts as [Part]
  const run = runner(products, packed, operand, out, hidden ? 2 : 4)
  if (byRequest !== undefined) {
    t.program.steps.push((frame, { requests, starts }) => {
      const first = frame.at[byRequest.buffer]! + byRequest.offset * 4
      for (let request = 0; request < requests; request++) {
        const place = { region: frame.region, at: first + request * byRequest.stride * 4 }
        run(frame, starts[request]!, starts[request + 1]!, place)
      }
    })
    return
  }
  const added = new Float32Array(columns)
  if (bias !== undefined) {
    const constant = t.constant(bias)
    if (product(constant.dims) !== n) throw new NotTranslated('Gemm with a bias of another width')
    added.set(constant.values)
  }
  const place = t.program.constant(added)
  const { each } = from
  t.program.steps.push((frame, call) => run(frame, 0, call[each], place))
}

/** The bias of each request, where it is a row of a tensor of requests. */
function biasByRequest(t: Translation, bias: string, x: Tensor, n: number): Part {
  const { ofRequest } = t.tensor(bias)
  if (ofRequest === undefined || x.each !== 'rows' || !equal(ofRequest.dims, [n]))
    throw new NotTranslated('Gemm with a bias of its own for each row')
  return t.whole(ofRequest).part
}

type RunRows = (frame: Frame, start: number, end: number, bias: { region: Frame['region']; at: number }) => void

function runner(products: Product[], packed: Weights, operand: Operand, out: Part, bytes: number): RunRows {
  return (frame, start, end, bias) => {
    const { region, at } = frame
    const [source, target] = [at[operand.buffer]!, at[out.buffer]! + out.offset * bytes]
    inChunks(start, end, (row, index) =>
      products[index]!.run({ region, at: source + row * operand.stride * 2 }, packed, bias, {
        region,
        at: target + row * out.stride * bytes,
      }),
    )
  }
}

/** Gates [tasks, experts] · experts [experts, width]. */
function mixture(t: Translation, node: NodeProto): void {
  const [name] = node.output as [string]
  const [left, right] = node.input as [string, string]
  const gates = t.floats(left, node)
  const experts = t.tensor(right)
  const [tasks, count] = gates.dims as [number, number]
  const width = experts.dims[1]!
  const fits = gates.dims.length === 2 && experts.dims.length === 2 && experts.dims[0] === count
  const parts = fits ? expertParts(experts, count, width) : undefined
  if (parts === undefined || gates.each !== experts.each || width % 4 !== 0)
    throw new NotTranslated(`MatMul of [${gates.dims}] and [${experts.dims}]`)
  const to = t.result(gates.each, [tasks, width], 'float32')
  t.set(name, to)
  const [out] = to.parts as [Part]
  const floor = t.takesRelu(name) ? 0 : Number.NEGATIVE_INFINITY
  // One row of the buffer holds the list: every frame has at least one.
  const list = t.program.buffer(count * 8)
  const { part: gate } = gates
  t.program.steps.push(({ at, integers, mix }, call) => {
    const entries = at[list]! / 4
    parts.forEach(({ buffer, offset, stride }, i) => {
      integers[entries + 2 * i] = at[buffer]! + offset * 4
      integers[entries + 2 * i + 1] = stride * 4
    })
    const from = at[gate.buffer]! + gate.offset * 4
    const target = at[out.buffer]! + out.offset * 4
    const [rows, strides] = [call[gates.each], { gate: gate.stride * 4, out: out.stride * 4 }]
    mix(rows, tasks, at[list]!, count, from, strides.gate, target, strides.out, width * 4, floor)
  })
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

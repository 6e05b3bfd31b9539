import { equal, positive, product } from '../../../base/arrays.ts'
import { intAttribute } from '../../graph/ir/attributes.ts'
import type { NodeProto } from '../../graph/ir/onnx_pb.ts'
import { reshapedDims, slicedRange, splitSizes } from '../../graph/ir/shapes.ts'
import type { RowTensor, Run } from './program.ts'
import { NotSmall, type Translation } from './translation.ts'

/* Operators that move numbers, or give them other dimensions. */

/** Rows of a constant table by ids. */
export function gather(t: Translation, node: NodeProto): void {
  const [table, indices] = node.input as [string, string]
  if (intAttribute(node, 'axis', 0) !== 0 || !t.isConstant(table)) throw new NotSmall('Gather from no constant table')
  const { dims, values } = t.constant(table)
  const ids = t.tensor(indices)
  if (!ids.integers || dims.length !== 2) throw new NotSmall('Gather of no rows')
  const [rows, width] = dims as [number, number]
  const from = t.placed(table, values) / 4
  const out = t.result(node.output[0]!, [...ids.dims, width]).at / 4
  const [first, count] = [ids.at / 4, product(ids.dims)]
  t.program.steps.push(({ integers }) => () => {
    let to = out
    for (let i = 0; i < count; i++) {
      const id = integers[first + i]!
      // ONNX counts negative ones from the end.
      const row = id < 0 ? id + rows : id
      if (row < 0 || row >= rows) throw new RangeError(`the table ${table} has ${rows} rows, and none for the id ${id}`)
      const start = from + row * width
      for (let j = 0; j < width; j++) integers[to++] = integers[start + j]!
    }
  })
}

export function reshape(t: Translation, node: NodeProto): void {
  const from = t.tensor(node.input[0]!)
  const target = t.integers(node.input[1]!)
  const dims = reshapedDims(from.dims, target)
  if (dims === undefined) throw new NotSmall(`Reshape to [${target}]`)
  t.alias(node.output[0]!, from, dims)
}

/** How the numbers of a tensor lie along an axis, which counts the batch: runs of `inner` numbers, `outer` times. */
function along(dims: readonly number[], axis: number): { index: number; outer: number; inner: number } {
  const index = positive(axis, dims.length + 1) - 1
  if (index < 0 || index >= dims.length) throw new NotSmall('an axis that is the batch')
  return { index, outer: product(dims.slice(0, index)), inner: product(dims.slice(index + 1)) }
}

export function concat(t: Translation, node: NodeProto): void {
  const parts = node.input.map((name) => t.tensor(name))
  const [first] = parts as [RowTensor]
  const { index, outer, inner } = along(first.dims, intAttribute(node, 'axis', 1))
  const others = (dims: readonly number[]) => dims.toSpliced(index, 1)
  const alike = parts.every(
    ({ dims, integers }) => integers === first.integers && equal(others(dims), others(first.dims)),
  )
  if (!alike) throw new NotSmall('Concat of unlike tensors')
  const total = parts.reduce((sum, { dims }) => sum + dims[index]!, 0)
  const to = t.result(node.output[0]!, first.dims.with(index, total), first.integers)
  const runs: Run[] = []
  let start = 0
  for (const { at, dims } of parts) {
    const count = dims[index]! * inner
    for (let o = 0; o < outer; o++)
      runs.push({ from: at / 4 + o * count, to: to.at / 4 + o * total * inner + start, count })
    start += count
  }
  t.copy(runs.sort((a, b) => a.to - b.to))
}

/** Copies `count` places along an axis, from `start` on. */
function part(t: Translation, output: string, from: RowTensor, axis: number, start: number, count: number): void {
  const { index, outer, inner } = along(from.dims, axis)
  const to = t.result(output, from.dims.with(index, count), from.integers)
  t.copy(
    Array.from({ length: outer }, (_, o) => ({
      from: from.at / 4 + (o * from.dims[index]! + start) * inner,
      to: to.at / 4 + o * count * inner,
      count: count * inner,
    })),
  )
}

export function slice(t: Translation, node: NodeProto): void {
  const from = t.tensor(node.input[0]!)
  const range = slicedRange(from.dims, node, (name) => t.integers(name))
  if (range === undefined) throw new NotSmall('Slice of several axes, or in steps')
  part(t, node.output[0]!, from, range.axis, range.start, range.count)
}

export function split(t: Translation, node: NodeProto): void {
  const from = t.tensor(node.input[0]!)
  const axis = intAttribute(node, 'axis', 0)
  const { index } = along(from.dims, axis)
  const sizes = splitSizes(node, from.dims[index], (name) => t.integers(name))
  if (sizes === undefined) throw new NotSmall('Split into parts of unknown sizes')
  let start = 0
  for (const [i, size] of sizes.entries()) {
    part(t, node.output[i]!, from, axis, start, size)
    start += size
  }
}

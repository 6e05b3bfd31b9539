import { type Application, axisOf, input, numbers, type Operator, ranked } from '../application.ts'
import { intOf, isNumbers, type Side, type Value } from '../value.ts'

/** Beyond every dimension: ONNX takes it as the end, and its negative as the beginning. */
const farEnd = 2 ** 31 - 1

/** The part of one axis that is taken. */
interface Range {
  axis: number
  start: number
  end: number
  step: number
}

/** x[1:3, ..., 0, ::2, newaxis]: ranges, single elements, full axes, new axes. */
const stridedSlice: Operator = (application) => {
  const { attr } = application.node
  const x = input(application, 0)
  const dims = ranked(application, 0)
  const mask = (name: string) => intOf(attr, `${name}_mask`, 0)
  const begin = input(application, 1).contents
  const end = input(application, 2).contents
  const steps = numbers(application, 3, 'step')
  const bit = (bits: number, i: number) => ((bits >> i) & 1) === 1
  const taken = [...steps.keys()].filter((i) => !bit(mask('ellipsis'), i) && !bit(mask('new_axis'), i)).length
  if (steps.length > 31 || taken > dims.length) throw application.fail(`takes ${taken} of ${dims.length} axes`)

  const at = (contents: Value['contents'], i: number, what: string): number => {
    const content = contents?.[i]
    if (typeof content !== 'number') throw application.fail(`its ${what} is not a constant`)
    return Math.max(-farEnd, Math.min(farEnd, content))
  }
  const ranges: Range[] = []
  const single: number[] = []
  const added: number[] = []
  let axis = 0
  let place = 0
  for (const [i, step] of steps.entries()) {
    if (bit(mask('ellipsis'), i)) {
      const whole = dims.length - taken
      axis += whole
      place += whole
    } else if (bit(mask('new_axis'), i)) {
      added.push(place++)
    } else if (bit(mask('shrink_axis'), i)) {
      const start = at(begin, i, 'begin')
      ranges.push({ axis, start, end: start === -1 ? farEnd : start + 1, step: 1 })
      single.push(axis++)
    } else {
      if (step === 0) throw application.fail('has a step of 0')
      const start = bit(mask('begin'), i) ? (step > 0 ? 0 : farEnd) : at(begin, i, 'begin')
      const stop = bit(mask('end'), i) ? (step > 0 ? farEnd : -farEnd) : at(end, i, 'end')
      if (start !== 0 || stop !== farEnd || step !== 1) ranges.push({ axis, start, end: stop, step })
      axis++
      place++
    }
  }
  if (x.contents !== undefined && dims.length === 1 && added.length === 0)
    return sliceContents(x, ranges[0], single.length > 0)
  let result = slice(application, x, dims, ranges)
  if (single.length > 0)
    result = application.emit('Squeeze', [result, application.vector(single)], {
      type: x.type,
      dims: result.dims!.filter((_, i) => !single.includes(i)),
    })
  if (added.length > 0) {
    const grown = [...result.dims!]
    for (const at of added) grown.splice(at, 0, 1)
    result = application.emit('Unsqueeze', [result, application.vector(added)], { type: x.type, dims: grown })
  }
  return result
}

function sliceContents({ type, contents }: Value, range: Range | undefined, single: boolean): Value {
  const all = [...contents!]
  const { start = 0, end = farEnd, step = 1 } = range ?? {}
  const clamp = (at: number) =>
    Math.max(step > 0 ? 0 : -1, Math.min(at < 0 ? at + all.length : at, step > 0 ? all.length : all.length - 1))
  const taken = []
  for (let i = clamp(start), stop = clamp(end); step > 0 ? i < stop : i > stop; i += step) taken.push(all[i]!)
  return { type, dims: single ? [] : [taken.length], contents: taken }
}

function slice(application: Application, x: Value, dims: Side[], ranges: Range[]): Value {
  if (ranges.length === 0) return { ...x }
  const [starts, ends, axes, steps] = (['start', 'end', 'axis', 'step'] as const).map((part) =>
    application.vector(ranges.map((range) => range[part])),
  )
  const sides = [...dims]
  for (const range of ranges) sides[range.axis] = lengthOf(range, dims[range.axis])
  return application.emit('Slice', [x, starts!, ends!, axes!, steps!], { type: x.type, dims: sides })
}

function lengthOf({ start, end, step }: Range, side: Side): Side {
  if (side === undefined || side < 0) return end - start === 1 && step === 1 && start >= 0 ? 1 : undefined
  const clamp = (at: number) =>
    Math.max(step > 0 ? 0 : -1, Math.min(at < 0 ? at + side : at, step > 0 ? side : side - 1))
  return Math.max(0, Math.ceil((clamp(end) - clamp(start)) / step))
}

/** `size` elements of each axis from `begin`; −1 for all remaining elements. */
const plainSlice: Operator = (application) => {
  const x = input(application, 0)
  const dims = ranked(application, 0)
  const begin = numbers(application, 1, 'begin')
  const size = input(application, 2).contents
  if (begin.length !== dims.length || size?.length !== dims.length)
    throw application.fail('takes other axes than there are')
  const ranges = begin.flatMap((start, axis): Range[] => {
    const length = size[axis]!
    // All rows.
    if (typeof length !== 'number') {
      if (start !== 0 || dims[axis] !== -length.batches) throw application.fail('its size is not a constant')
      return []
    }
    const end = length === -1 ? farEnd : start + length
    return start === 0 && (end === farEnd || end === dims[axis]) ? [] : [{ axis, start, end, step: 1 }]
  })
  if (x.contents !== undefined && dims.length === 1) return sliceContents(x, ranges[0], false)
  return slice(application, x, dims, ranges)
}

const split: Operator = (application) => {
  const count = intOf(application.node.attr, 'num_split', 1)
  const x = input(application, 1)
  const dims = ranked(application, 1)
  const axis = axisOf(application, numbers(application, 0, 'axis')[0], dims.length)
  const side = dims[axis]
  checkParts(application, count)
  if (side === undefined || side < 0 || side % count !== 0 || count < 1)
    throw application.fail(
      `its axis of ${side === undefined || side < 0 ? 'unknown' : side} elements is not ${count} equal parts`,
    )
  return parts(application, x, dims, axis, Array<number>(count).fill(side / count))
}

const splitV: Operator = (application) => {
  const x = input(application, 0)
  const dims = ranked(application, 0)
  const given = numbers(application, 1, 'sizes')
  const axis = axisOf(application, numbers(application, 2, 'axis')[0], dims.length)
  const known = given.filter((size) => size >= 0).reduce((sum, size) => sum + size, 0)
  const side = dims[axis]
  const rest = side === undefined || side < 0 ? undefined : side - known
  const sizes = given.map((size) => (size < 0 ? rest : size))
  if (sizes.some((size) => size === undefined || size < 0))
    throw application.fail('the sizes of its parts are not known')
  return parts(application, x, dims, axis, sizes as number[])
}

function parts(application: Application, x: Value, dims: Side[], axis: number, sizes: number[]): Value[] {
  const results = sizes.map((size) => ({ type: x.type, dims: dims.with(axis, size) }))
  return application.emitAll('Split', [x, application.vector(sizes)], results, { axis })
}

const mostParts = 10_000

function checkParts({ fail }: Application, count: number): void {
  if (!(count >= 0 && count <= mostParts)) throw fail(`makes ${count} parts, more than ${mostParts}`)
}

/** The elements of an axis as separate tensors. */
const unpack: Operator = (application) => {
  const { attr } = application.node
  const x = input(application, 0)
  const dims = ranked(application, 0)
  const axis = axisOf(application, intOf(attr, 'axis', 0), dims.length)
  const count = intOf(attr, 'num', Number(dims[axis] ?? 0))
  if (isNumbers(x.contents) && dims.length === 1)
    return x.contents.map((content) => ({ type: x.type, dims: [], contents: [content] }))
  checkParts(application, count)
  const rows = parts(application, x, dims, axis, Array<number>(count).fill(1))
  return rows.map((row) =>
    application.emit('Squeeze', [row, application.vector([axis])], { type: x.type, dims: dims.toSpliced(axis, 1) }),
  )
}

/** Operators that take parts of a tensor. */
export const slicing: Record<string, Operator> = {
  StridedSlice: stridedSlice,
  Slice: plainSlice,
  Split: split,
  SplitV: splitV,
  Unpack: unpack,
}

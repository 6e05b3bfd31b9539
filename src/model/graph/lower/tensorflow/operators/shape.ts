import { type Application, axisOf, input, numbers, type Operator, ranked } from '../application.ts'
import {
  broadcast,
  type Content,
  contentOf,
  elementOf,
  elementsOf,
  intOf,
  intsOf,
  isNumbers,
  mostContents,
  type Side,
  sideOf,
  type Value,
} from '../value.ts'

/** Known if the tensor's dimensions are; a Reshape to it then needs no node. */
const shape: Operator = (application) => {
  const x = input(application, 0)
  const type = integerType(application, 'out_type')
  const contents = x.dims?.map(contentOf)
  if (contents?.every((content) => content !== undefined)) return { type, dims: [contents.length], contents }
  const written = application.emit('Shape', [x], { type: 'int64', dims: [x.dims?.length] })
  return type === 'int64' ? written : application.emit('Cast', [written], { type, dims: written.dims }, { to: 6 })
}

const rank: Operator = (application) => ({ type: 'int32', dims: [], contents: [ranked(application, 0).length] })

const size: Operator = (application) => {
  const type = integerType(application, 'out_type')
  const elements = contentOf(elementsOf(input(application, 0).dims))
  if (elements === undefined) throw application.fail('the shape of its input is not known')
  return { type, dims: [], contents: [elements] }
}

export function integerType({ node, program }: Application, attribute: string): 'int32' | 'int64' {
  return elementOf(node.attr, attribute, 'int32') === 'int64' ? program.int64 : 'int32'
}

const reshape: Operator = (application) => {
  const [x, wanted] = [input(application, 0), input(application, 1)]
  const known = wanted.contents
  if (known === undefined) {
    const dims = Array<Side>(Number(wanted.dims?.[0] ?? Number.NaN) || 0).fill(undefined)
    return application.emit('Reshape', [x, castTo64(application, wanted)], {
      type: x.type,
      dims: wanted.dims?.[0] === undefined ? undefined : dims,
    })
  }
  const dims = resolved(application, x.dims, known)
  if (x.contents !== undefined && dims.length <= 1) return { type: x.type, dims, contents: x.contents }
  return application.emit('Reshape', [x, application.vector(target(application, x.dims, dims, known))], {
    type: x.type,
    dims,
  })
}

/** The dimensions after a Reshape; −1 is inferred from the number of elements. */
function resolved(application: Application, from: Side[] | undefined, wanted: readonly Content[]): Side[] {
  const open = wanted.filter((content) => content === -1).length
  if (open > 1 || wanted.some((content) => typeof content === 'number' && (content < -1 || content > 2 ** 40)))
    throw application.fail(`can't make the shape [${wanted.map((content) => sideOf(content))}]`)
  const rest = elementsOf(wanted.filter((content) => content !== -1).map(sideOf))
  const all = elementsOf(from)
  const left = all === undefined || rest === undefined || rest === 0 ? undefined : quotient(all, rest)
  return wanted.map((content) => (content === -1 ? left : sideOf(content)))
}

/** Both may be multiples of the batch. */
function quotient(all: number, rest: number): Side {
  const result = Math.abs(all) / Math.abs(rest)
  if (!Number.isInteger(result)) return undefined
  if (all < 0 && rest < 0) return result
  return rest < 0 ? undefined : all < 0 ? -result : result
}

/** The shape for ONNX' Reshape: one dimension may be open (−1), and any may be the input's (0). */
function target(
  application: Application,
  from: Side[] | undefined,
  dims: Side[],
  wanted: readonly Content[],
): Content[] {
  if (wanted.includes(0)) throw application.fail('makes a tensor without elements')
  const unknown = dims.filter((side) => side === undefined || side < 0).length
  if (unknown <= 1) return dims.map((side) => (side === undefined || side < 0 ? -1 : side))
  return wanted.map((content, i) => {
    const side = dims[i]
    if (typeof content !== 'number' && from?.[i] === sideOf(content)) return 0
    return side === undefined ? -1 : contentOf(side)!
  })
}

export function castTo64(application: Application, x: Value): Value {
  if (x.type === 'int64') return x
  return application.emit('Cast', [x], { type: 'int64', dims: x.dims }, { to: 7 })
}

const expandDims: Operator = (application) => {
  const x = input(application, 0)
  const dims = ranked(application, 0)
  const at = axisOf(application, numbers(application, 1, 'axis')[0], dims.length + 1)
  const result = { type: x.type, dims: dims.toSpliced(at, 0, 1) }
  if (x.contents !== undefined && dims.length === 0) return { ...result, contents: x.contents }
  return application.emit('Unsqueeze', [x, application.vector([at])], result)
}

const squeeze: Operator = (application) => {
  const x = input(application, 0)
  const { attr } = application.node
  const dims = ranked(application, 0)
  const given = [...intsOf(attr, 'squeeze_dims'), ...intsOf(attr, 'axis')]
  const axes =
    given.length > 0
      ? given.map((axis) => axisOf(application, axis, dims.length))
      : [...dims.keys()].filter((axis) => dims[axis] === 1)
  if (given.length === 0 && dims.some((side) => side === undefined))
    throw application.fail('which sides are 1 is not known')
  const result = { type: x.type, dims: dims.filter((_, axis) => !axes.includes(axis)) }
  if (axes.length === 0) return x
  if (x.contents !== undefined) return { ...result, contents: x.contents }
  return application.emit('Squeeze', [x, application.vector(axes)], result)
}

const transpose: Operator = (application) => {
  const x = input(application, 0)
  const perm = numbers(application, 1, 'order of the axes').map((axis) =>
    axisOf(application, axis, ranked(application, 0).length),
  )
  const dims = ranked(application, 0)
  if (perm.length !== dims.length || new Set(perm).size !== perm.length)
    throw application.fail(`[${perm}] is no order of ${dims.length} axes`)
  return application.emit('Transpose', [x], { type: x.type, dims: perm.map((axis) => dims[axis]) }, { perm })
}

/** Concatenates tensors along an existing axis. */
function concat(application: Application, parts: Value[], axisInput: number): Value {
  const [first] = parts
  if (first === undefined) throw application.fail('has no inputs')
  const known = parts.find(({ dims }) => dims !== undefined)?.dims
  if (known === undefined) throw application.fail('the rank of its inputs is not known')
  const axis = axisOf(application, numbers(application, axisInput, 'axis')[0], known.length)
  if (parts.some(({ type, dims }) => type !== first.type || (dims !== undefined && dims.length !== known.length)))
    throw application.fail('its inputs are of several types or ranks')
  const contents = known.length === 1 ? parts.map((part) => part.contents) : []
  const length = contents.reduce((sum, each) => sum + (each?.length ?? 0), 0)
  if (contents.length > 0 && length <= mostContents && contents.every((each) => each !== undefined)) {
    const all = contents.flat()
    return { type: first.type, dims: [all.length], contents: all }
  }
  const dims = known.map((_, i) => {
    const sides = parts.map((part) => part.dims?.[i])
    return i === axis ? sumOf(sides) : sides.find((side) => side !== undefined)
  })
  if (parts.length === 1) return first
  return application.emit('Concat', parts, { type: first.type, dims }, { axis })
}

/** Dimensions can be added if all are known, or all are multiples of the batch. */
function sumOf(sides: Side[]): Side {
  if (sides.some((side) => side === undefined || side < 0) && !sides.every((side) => side !== undefined && side < 0))
    return undefined
  return sides.reduce<number>((sum, side) => sum + side!, 0)
}

const concatV2: Operator = (application) => {
  const last = application.inputs.length - 1
  return concat(application, application.inputs.slice(0, last), last)
}

const pack: Operator = (application) => {
  const { inputs, node } = application
  const [first] = inputs
  if (first === undefined) throw application.fail('has no inputs')
  const known = inputs.find(({ dims }) => dims !== undefined)?.dims
  if (known === undefined) throw application.fail('the rank of its inputs is not known')
  const axis = axisOf(application, intOf(node.attr, 'axis', 0), known.length + 1)
  const contents =
    known.length === 0 && inputs.length <= mostContents ? inputs.map((part) => part.contents?.[0]) : [undefined]
  if (contents.every((content) => content !== undefined)) return { type: first.type, dims: [contents.length], contents }
  const dims = known.map((_, i) => inputs.map((part) => part.dims?.[i]).find((side) => side !== undefined))
  const parts = inputs.map((part) =>
    application.emit('Unsqueeze', [part, application.vector([axis])], {
      type: part.type,
      dims: dims.toSpliced(axis, 0, 1),
    }),
  )
  if (parts.length === 1) return parts[0]!
  const result = { type: first.type, dims: dims.toSpliced(axis, 0, parts.length) }
  return application.emit('Concat', parts, result, { axis })
}

const broadcastTo: Operator = (application) => {
  const [x, wanted] = [input(application, 0), input(application, 1)]
  return expand(application, x, wanted)
}

/** Broadcasts a tensor to a shape, which may be computed. */
export function expand(application: Application, x: Value, wanted: Value): Value {
  const dims = wanted.contents === undefined ? undefined : broadcast(x.dims, wanted.contents.map(sideOf))
  return application.emit('Expand', [x, castTo64(application, wanted)], { type: x.type, dims })
}

const fill: Operator = (application) => {
  const [wanted, value] = [input(application, 0), input(application, 1)]
  if (wanted.contents !== undefined && isNumbers(wanted.contents) && wanted.contents.length === 0) return value
  return expand(application, value, wanted)
}

/** A tensor of the same shape with equal elements. */
function alike(value: number): Operator {
  return (application) => {
    const x = input(application, 0)
    return expand(application, application.scalar(x.type, value), shape(application) as Value)
  }
}

const tile: Operator = (application) => {
  const [x, multiples] = [input(application, 0), input(application, 1)]
  const dims = x.dims?.map((side, i) => {
    const [own, repeated] = [contentOf(side), multiples.contents?.[i]]
    if (own === undefined || repeated === undefined) return undefined
    return elementsOf([sideOf(own), sideOf(repeated)])
  })
  return application.emit('Tile', [x, castTo64(application, multiples)], { type: x.type, dims })
}

/** Operators that move or repeat elements, or return shapes. */
export const shapes: Record<string, Operator> = {
  Shape: shape,
  Rank: rank,
  Size: size,
  Reshape: reshape,
  ExpandDims: expandDims,
  Squeeze: squeeze,
  Transpose: transpose,
  Concat: (application) => concat(application, application.inputs.slice(1), 0),
  ConcatV2: concatV2,
  Pack: pack,
  BroadcastTo: broadcastTo,
  Fill: fill,
  ZerosLike: alike(0),
  OnesLike: alike(1),
  Tile: tile,
}

import { type Application, axisOf, input, numbers, type Operator, ranked } from '../application.ts'
import {
  boolOf,
  broadcast,
  type Content,
  contentOf,
  elementOf,
  intOf,
  isNumbers,
  type Side,
  type Value,
} from '../value.ts'
import { castTo } from './elementwise.ts'
import { castTo64 } from './shape.ts'

const gatherV2: Operator = (application) => {
  const axis = application.inputs.length < 3 ? [0] : numbers(application, 2, 'axis')
  return gather(application, input(application, 0), axis[0]!)
}

/** Rows of a variable used as a table. */
const resourceGather: Operator = (application) => gather(application, application.stored(input(application, 0)), 0)

function gather(application: Application, x: Value, wanted: number): Value {
  if (intOf(application.node.attr, 'batch_dims', 0) !== 0)
    throw application.fail('gathers within rows of the batch, which is not supported')
  const ids = input(application, 1)
  const dims = x.dims
  if (dims === undefined) throw application.fail('the rank of its table is not known')
  const axis = axisOf(application, wanted, dims.length)
  if (x.contents !== undefined && dims.length === 1 && isNumbers(ids.contents)) {
    const contents = ids.contents.map((i) => x.contents![i])
    if (contents.some((content) => content === undefined)) throw application.fail('takes an element that is not there')
    return { type: x.type, dims: ids.dims, contents: contents as Content[] }
  }
  const result = ids.dims && [...dims.slice(0, axis), ...ids.dims, ...dims.slice(axis + 1)]
  return application.emit('Gather', [x, ids], { type: x.type, dims: result }, { axis })
}

const gatherNd: Operator = (application) => {
  const [x, ids] = [input(application, 0), input(application, 1)]
  const depth = ids.dims?.at(-1)
  const dims =
    ids.dims !== undefined && x.dims !== undefined && depth !== undefined && depth > 0
      ? [...ids.dims.slice(0, -1), ...x.dims.slice(depth)]
      : undefined
  return application.emit('GatherND', [x, castTo64(application, ids)], { type: x.type, dims })
}

/** One-hot vectors. Ids outside the depth yield zeros, as in TensorFlow but not ONNX. */
const oneHot: Operator = (application) => {
  const [ids, on, off] = [input(application, 0), input(application, 2), input(application, 3)]
  const [depth] = numbers(application, 1, 'depth')
  const dims = ranked(application, 0)
  if (depth === undefined || depth < 1 || depth > mostPlaces)
    throw application.fail(`the depth ${depth} is not supported`)
  const given = intOf(application.node.attr, 'axis', -1)
  const axis = axisOf(application, given, dims.length + 1)
  const places = Array.from({ length: depth }, (_, i) => i)
  const placed: Value = { type: ids.type, dims: [depth, ...dims.slice(axis).map(() => 1)], contents: places }
  const wide = application.emit('Unsqueeze', [ids, application.vector([axis])], {
    type: ids.type,
    dims: dims.toSpliced(axis, 0, 1),
  })
  const result = broadcast(wide.dims, placed.dims)
  const equal = application.emit('Equal', [wide, placed], { type: 'bool', dims: result })
  return application.emit('Where', [equal, on, off], { type: on.type, dims: result })
}

const mostPlaces = 1 << 20

const range: Operator = (application) => {
  const given = [0, 1, 2].map((i) => input(application, i)) as [Value, Value, Value]
  const { type } = given[0]
  if (given.every(({ contents }) => isNumbers(contents))) {
    const [start, limit, step] = given.map(({ contents }) => contents![0] as number) as [number, number, number]
    const length = Math.max(0, Math.ceil((limit - start) / step))
    if (!(length <= mostPlaces)) throw application.fail(`makes ${length} elements, more than ${mostPlaces}`)
    return { type, dims: [length], contents: Array.from({ length }, (_, i) => start + i * step) }
  }
  // A range from 0 to the batch in steps of 1 is the row number.
  const [start, limit, step] = given.map(({ contents }) => contents?.[0])
  const side: Side = start === 0 && step === 1 && typeof limit === 'object' ? -limit.batches : undefined
  return application.emit('Range', given, { type, dims: [side] })
}

/** A reduction over constant axes. */
function reduction(opType: string): Operator {
  return (application) => {
    const { keeps, axes, dims } = reduced(application)
    const given = input(application, 0)
    if (axes.length === 0) return given
    // Whether any, or every, element is true.
    const x = given.type === 'bool' ? castTo(application, given, 'int32') : given
    const result = { type: x.type, dims }
    const keepdims = keeps ? 1 : 0
    // In this operator set only ReduceSum takes its axes as an input.
    const answer =
      opType === 'ReduceSum'
        ? application.emit(opType, [x, application.vector(axes)], result, { keepdims })
        : application.emit(opType, [x], result, { axes, keepdims })
    return x === given ? answer : castTo(application, answer, 'bool')
  }
}

function reduced(application: Application) {
  const all = ranked(application, 0)
  const { attr } = application.node
  const keeps = boolOf(attr, 'keep_dims', false)
  const axes = numbers(application, 1, 'axes').map((axis) => axisOf(application, axis, all.length))
  const dims = keeps ? all.map((side, i) => (axes.includes(i) ? 1 : side)) : all.filter((_, i) => !axes.includes(i))
  return { keeps, axes, dims }
}

/** The number of elements of a shape, if known. */
const prod: Operator = (application) => {
  const { contents, type, dims } = input(application, 0)
  const axes = input(application, 1).contents
  if (contents === undefined || dims?.length !== 1 || axes?.length !== 1) return reduction('ReduceProd')(application)
  const { dims: result } = reduced(application)
  let product: Content | undefined = 1
  for (const content of contents) product = product && contentOf(productOf(product, content))
  if (product === undefined) return reduction('ReduceProd')(application)
  return { type, dims: result, contents: [product] }
}

function productOf(a: Content, b: Content): Side {
  const [x, y] = [typeof a === 'number' ? a : -a.batches, typeof b === 'number' ? b : -b.batches]
  return x < 0 && y < 0 ? undefined : x * y
}

function extreme(opType: string): Operator {
  return (application) => {
    const x = input(application, 0)
    const dims = ranked(application, 0)
    const axis = axisOf(application, numbers(application, 1, 'axis')[0], dims.length)
    const { attr } = application.node
    const found = application.emit(opType, [x], { type: 'int64', dims: dims.toSpliced(axis, 1) }, { axis, keepdims: 0 })
    return castTo(application, found, elementOf(attr, 'output_type', 'int64') ?? 'int64')
  }
}

/** Operators that look up or reduce elements. */
export const gathering: Record<string, Operator> = {
  Gather: gatherV2,
  GatherV2: gatherV2,
  GatherNd: gatherNd,
  ResourceGather: resourceGather,
  OneHot: oneHot,
  Range: range,
  Sum: reduction('ReduceSum'),
  Mean: reduction('ReduceMean'),
  Max: reduction('ReduceMax'),
  Min: reduction('ReduceMin'),
  Prod: prod,
  All: reduction('ReduceMin'),
  Any: reduction('ReduceMax'),
  ArgMax: extreme('ArgMax'),
  ArgMin: extreme('ArgMin'),
}

import { TensorProto_DataType as DataType } from '../../ir/onnx_pb.ts'
import { type Application, type Lowering, unsupported, type Value } from './layer-rules.ts'
import { listClasses } from './list-classes.ts'

/*
 * Layers of lists, of which TensorFlow.js and Keras have none: model.json names them `multigate>…`. L is the most
 * values of a list, w the width of each; a mask is 1 where there is a value and 0 elsewhere.
 */

/** Far below any score or embedding: its softmax is 0, and no maximum is there. */
const lowest = 1e30
/** Far below any sum of weights that is not 0. */
const least = 1e-12

interface Nodes {
  /** Appends a node whose output is named after the operator. */
  op(opType: string, inputs: string[], attributes?: Parameters<Application['node']>[3]): string
  scalar(name: string, value: number): string
}

function nodesOf({ graph, output, node }: Application): Nodes {
  return {
    op: (opType, inputs, attributes) => node(opType, inputs, graph.fresh(`${output}:${opType}`), attributes),
    scalar: (name, value) => graph.constant(`${output}:${name}`, Float32Array.of(value), []),
  }
}

function inputsOf({ layer, inputs }: Application, ...ranks: number[]): Value[] {
  if (inputs.length === ranks.length && ranks.every((rank, i) => inputs[i]!.dims.length === rank)) return inputs
  throw unsupported(layer, `takes inputs of rank ${ranks.map((rank) => rank + 1).join(', ')}`)
}

const floats = (name: string, ...dims: number[]): Value => ({ name, dtype: 'float32', dims })

/** Ids [B, L] → 1 where an id is not that of padding [B, L]. */
const lowerMask: Lowering = (application) => {
  const { layer, graph, output, node } = application
  const [ids] = inputsOf(application, 1) as [Value]
  const { padding } = layer.config
  if (typeof padding !== 'number') throw unsupported(layer, 'has no padding')
  const { op } = nodesOf(application)
  const equal = op('Equal', [ids.name, graph.constant(`${output}:padding`, Int32Array.of(padding), [])])
  node('Cast', [op('Not', [equal])], output, { to: DataType.FLOAT })
  return floats(output, ...ids.dims)
}

/** Values [B, L, w], their mask [B, L] and, where they have any, weights [B, L] → [B, w]; 0 where there is none. */
const lowerPooling: Lowering = (application) => {
  const { layer, output, node, integers } = application
  const ranks = application.inputs.length === 3 ? [2, 1, 1] : [2, 1]
  const [values, mask, given] = inputsOf(application, ...ranks) as [Value, Value, Value?]
  const [length, width] = values.dims as [number, number]
  const nodes = nodesOf(application)
  const { op } = nodes
  const weights = given ? op('Mul', [mask.name, given.name]) : mask.name // [B, L]
  const { pooling } = layer.config
  if (pooling === 'max') {
    lowerMaximum(application, nodes, { values, mask, weights: given && weights })
    return floats(output, width)
  }
  if (!['mean', 'sum', 'sqrt_n'].includes(String(pooling))) throw unsupported(layer, `pooling ${pooling} is not known`)
  const row = op('Reshape', [weights, integers([-1, 1, length])])
  const sum = op('MatMul', [row, values.name]) // [B, 1, w]
  const isSum = pooling === 'sum'
  const flat = integers([-1, width])
  const pooled = isSum ? node('Reshape', [sum, flat], output) : op('Reshape', [sum, flat]) // [B, w]
  if (isSum) return floats(pooled, width)
  const squares = pooling === 'mean' || !given ? weights : op('Mul', [weights, weights])
  const total = op('ReduceSum', [squares, integers([1])], { keepdims: 1 }) // [B, 1]
  const some = op('Max', [total, nodes.scalar('least', pooling === 'mean' ? least : least * least)])
  node('Div', [pooled, pooling === 'mean' ? some : op('Sqrt', [some])], output)
  return floats(output, width)
}

/** Maximum of each column over the values that there are, each times its weight; 0 where there is none. */
function lowerMaximum(
  { output, node, integers }: Application,
  { op, scalar }: Nodes,
  { values, mask, weights }: { values: Value; mask: Value; weights: string | undefined },
): void {
  const [length] = values.dims as [number, number]
  const column = (name: string) => op('Reshape', [name, integers([-1, length, 1])]) // [B, L, 1]
  const weighted = op('Mul', [values.name, column(weights ?? mask.name)])
  const absent = op('Sub', [column(mask.name), scalar('one', 1)]) // −1 where there is no value
  const present = op('Add', [weighted, op('Mul', [absent, scalar('lowest', lowest)])]) // [B, L, w]
  const most = op('ReduceMax', [present], { axes: [1], keepdims: 0 }) // [B, w]
  const any = op('ReduceMax', [mask.name], { axes: [1], keepdims: 1 }) // [B, 1]
  node('Mul', [most, any], output)
}

/**
 * A query [B, h·w], keys [B, L, h·w], values [B, L, h·v] and their mask [B, L] → [B, h·v]: per head the mean of the
 * values, weighted by the softmax of query · key ÷ √w; 0 where there is none.
 */
const lowerAttention: Lowering = (application) => {
  const { layer, output, node, integers } = application
  const [query, keys, values, mask] = inputsOf(application, 1, 2, 2, 1) as [Value, Value, Value, Value]
  const { heads } = layer.config
  const [length, inner] = keys.dims as [number, number]
  const outer = values.dims[1]!
  if (typeof heads !== 'number' || inner % heads !== 0 || outer % heads !== 0 || query.dims[0] !== inner)
    throw unsupported(layer, `can't compare [${query.dims}] with [${keys.dims}] in ${heads} heads`)
  const { op, scalar } = nodesOf(application)
  /** [B, L, h·n] → [B, h, L, n]; of one head, unchanged. */
  const split = (name: string, n: number) =>
    heads === 1
      ? name
      : op('Transpose', [op('Reshape', [name, integers([-1, length, heads, n])])], { perm: [0, 2, 1, 3] })
  const axes = heads === 1 ? [0, 2, 1] : [0, 1, 3, 2]
  const row = heads === 1 ? integers([-1, 1, inner]) : integers([-1, heads, 1, inner / heads])
  const turned = op('Transpose', [split(keys.name, inner / heads)], { perm: axes }) // [B, h, w, L]
  const scores = op('MatMul', [op('Reshape', [query.name, row]), turned]) // [B, h, 1, L]
  const scaled = op('Mul', [scores, scalar('scale', 1 / Math.sqrt(inner / heads))])
  const wide = op('Reshape', [mask.name, integers(heads === 1 ? [-1, 1, length] : [-1, 1, 1, length])])
  const absent = op('Mul', [op('Sub', [wide, scalar('one', 1)]), scalar('lowest', lowest)])
  const weights = op('Softmax', [op('Add', [scaled, absent])], { axis: -1 })
  const sum = op('MatMul', [op('Mul', [weights, wide]), split(values.name, outer / heads)]) // [B, h, 1, v]
  node('Reshape', [sum, integers([-1, outer])], output)
  return floats(output, outer)
}

/**
 * A query [B, w], items [B, L, w], where there is more of them, [B, L, n], and their mask → [B, L, 4·w + n]: items, the
 * query, their difference and their product, side by side. In training of those that there are alone, [items, 4·w + n].
 */
const lowerPairs: Lowering = (application) => {
  const { training, output, node, integers } = application
  const ranks = application.inputs.length === 4 ? [1, 2, 2, 1] : [1, 2, 1]
  const [query, items, ...others] = inputsOf(application, ...ranks) as [Value, Value, ...Value[]]
  const mask = others.pop()!
  const [length, width] = items.dims as [number, number]
  const { op } = nodesOf(application)
  const row = op('Reshape', [query.name, integers([-1, 1, width])])
  const repeated = op('Expand', [row, integers([1, length, 1])]) // [B, L, w]
  const present = (name: string, side: number) =>
    training
      ? op('Gather', [op('Reshape', [name, integers([-1, side])]), application.items(mask.name)], { axis: 0 })
      : name
  const [item, asked] = [present(items.name, width), present(repeated, width)]
  const parts = [item, asked, op('Sub', [item, asked]), op('Mul', [item, asked])]
  const more = others.map(({ name, dims }) => present(name, dims[1]!))
  node('Concat', [...parts, ...more], output, { axis: training ? 1 : 2 })
  const columns = 4 * width + others.reduce((sum, { dims }) => sum + dims[1]!, 0)
  return training ? floats(output, columns) : floats(output, length, columns)
}

/**
 * Scores [B, L, 1], values [B, L, w] and their mask [B, L] → the sum of the values, each times its score [B, w]. In
 * training, scores are those of `lowerPairs`, [items, 1].
 */
const lowerSum: Lowering = (application) => {
  const { training, output, node, integers } = application
  const [scores, values, mask] = inputsOf(application, training ? 1 : 2, 2, 1) as [Value, Value, Value]
  const [length, width] = values.dims as [number, number]
  const { op } = nodesOf(application)
  const whole = training ? scattered(application, scores.name, mask.name) : scores.name
  const weights = op('Mul', [op('Reshape', [whole, integers([-1, length])]), mask.name]) // [B, L]
  const sum = op('MatMul', [op('Reshape', [weights, integers([-1, 1, length])]), values.name]) // [B, 1, w]
  node('Reshape', [sum, integers([-1, width])], output)
  return floats(output, width)
}

/** Scores of items [items, 1] in their places [B · L, 1], beside zeros. */
function scattered(application: Application, scores: string, mask: string): string {
  const { op } = nodesOf(application)
  const { integers } = application
  // The mask is 0 wherever no score replaces it.
  const zeros = op('Reshape', [mask, integers([-1, 1])])
  const places = op('Cast', [application.items(mask)], { to: DataType.INT64 })
  return op('ScatterND', [zeros, op('Reshape', [places, integers([-1, 1])]), scores])
}

/**
 * Queries [B, h·w] with an offset each [B, h], keys [B, L, w], values [B, L, v], their ages [B, L] and their mask →
 * [B, h·r + r·v + r], for r half-lives: how much there is of what each query asks for, how items were on average, and
 * how many there are, each by how long ago. An item counts 2^(−age ÷ half-life), and a query asks for ln(1 + e^(query ·
 * key + offset)) of it. Amounts are logarithms, ln(1 + sum).
 */
const lowerTimeDecay: Lowering = (application) => {
  const { layer, graph, output, node, integers } = application
  const [query, offset, keys, values, ages, mask] = inputsOf(application, 1, 1, 2, 2, 1, 1) as [
    ...[Value, Value, Value],
    ...[Value, Value, Value],
  ]
  const halfLives = layer.config.half_lives
  const [length, width] = keys.dims as [number, number]
  const [heads] = offset.dims as [number]
  if (!isPositiveList(halfLives) || query.dims[0] !== heads * width)
    throw unsupported(layer, `can't compare [${query.dims}] with [${keys.dims}] in ${heads} heads`)
  const rates = halfLives.length
  const { op, scalar } = nodesOf(application)
  const amount = (sum: string) => op('Log', [op('Add', [sum, scalar('one', 1)])])
  const items = (name: string) => op('Reshape', [name, integers([-1, length, 1])])

  const decay = graph.constant(
    `${output}:rates`,
    Float32Array.from(halfLives, (one) => -Math.LN2 / one),
    [1, 1, rates],
  )
  const since = op('Max', [ages.name, scalar('zero', 0)])
  const recency = op('Mul', [op('Exp', [op('Mul', [items(since), decay])]), items(mask.name)]) // [B, L, r]
  const total = op('ReduceSum', [recency, integers([1])], { keepdims: 0 }) // [B, r]

  const turned = op('Transpose', [keys.name], { perm: [0, 2, 1] }) // [B, w, L]
  const products = op('MatMul', [op('Reshape', [query.name, integers([-1, heads, width])]), turned]) // [B, h, L]
  const scores = op('Add', [products, op('Reshape', [offset.name, integers([-1, heads, 1])])])
  // ONNX Runtime computes exponentials and logarithms in vectors, and Softplus one by one.
  const likeness = amount(op('Exp', [op('Min', [scores, scalar('most', 30)])]))
  const alike = op('MatMul', [likeness, recency]) // [B, h, r]

  const sums = op('MatMul', [op('Transpose', [recency], { perm: [0, 2, 1] }), values.name]) // [B, r, v]
  const some = op('Add', [op('Reshape', [total, integers([-1, rates, 1])]), scalar('more', 1)])
  const flat = (name: string, columns: number) => op('Reshape', [name, integers([-1, columns])])
  const [asked, mean] = [heads * rates, rates * values.dims[1]!]
  const parts = [flat(amount(alike), asked), flat(op('Div', [sums, some]), mean), amount(total)]
  node('Concat', parts, output, { axis: 1 })
  return floats(output, asked + mean + rates)
}

function isPositiveList(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'number' && one > 0)
}

export const listLowerings: Record<string, Lowering> = {
  [listClasses.mask]: lowerMask,
  [listClasses.pooling]: lowerPooling,
  [listClasses.attention]: lowerAttention,
  [listClasses.pairs]: lowerPairs,
  [listClasses.sum]: lowerSum,
  [listClasses.timeDecay]: lowerTimeDecay,
}

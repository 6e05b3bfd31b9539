import type { Tensor } from 'onnxruntime-node'
import { onnxruntime as ort } from '../../../src/base/onnxruntime.ts'
import type { PackedInput } from '../../../src/model/contracts/compiled-plan.ts'
import type { ListColumns } from '../../../src/model/contracts/list-length.ts'
import { lengthTensor, longestList } from '../../../src/model/contracts/list-length.ts'
import { createRowMemory } from '../../../src/model/engines/plan/row-memory.ts'
import { changeEach, type Plans } from '../../../src/model/graph/compile/compiled-graph.ts'
import type { Graph } from '../../../src/model/graph/ir/graph.ts'
import { cutLists } from '../../../src/model/graph/lists/cut-lists.ts'
import type { Sides, SplitGraphs, VariantGraph } from '../../../src/model/graph/sides/split-graphs.ts'
import { planNames } from '../../../src/model/graph/sides/tensor-names.ts'
import type { Dice } from './dice.ts'
import { type Answers, answersOf, differenceOf, type Feeds, feedsOf } from './run-graph.ts'

type Data = Float32Array | Int32Array | BigInt64Array

/**
 * Where a plan answers something else than the whole graph, or than its variant `full`, on random requests and slots.
 * `lists` end in padding; `tolerance`: as of `differenceOf`.
 */
export async function breachOfPlans(
  graph: Graph,
  sides: Sides,
  plans: SplitGraphs,
  dice: Dice,
  full?: VariantGraph,
  { lists = [], tolerance }: { lists?: readonly ListColumns[]; tolerance?: number } = {},
): Promise<string | undefined> {
  for (const requests of [[1], [2], [6], [2, 1, 3]]) {
    if (requests.length > 1 && plans.shared_context?.oneRequest) continue
    const rows = requests.reduce((sum, count) => sum + count, 0)
    const feeds = requestsOf(graph, sides, requests, dice, lists)
    if (rows > 2) sameCandidate(feeds, sides, 0, 3)
    const expected = full ? [await answersOfFresh(full, feeds, requests)] : await answersOf(graph, [feeds])
    if (plans.shared_context) {
      const breach = differenceOf(expected, [await answersOfFresh(plans.shared_context, feeds, requests)], tolerance)
      if (breach) return `fresh: ${breach}`
    }
    if (plans.cached) {
      const size = rows + dice.between(0, 4)
      const row = Array.from({ length: rows }, (_, i) => (rows > 2 && i === 3 ? 0 : i))
      const candidates = Array.from({ length: rows }, (_, i) => i)
      const slots = dice.shuffled(Array.from({ length: size }, (_, i) => i)).slice(0, rows)
      const kept = { requests, candidates, slots, size, row }
      const breach = differenceOf(expected, [await answersOfKnown(plans, feeds, kept)], tolerance)
      if (breach) return `known: ${breach}`
    }
  }
  return undefined
}

/** Columns of a tensor [rows] or [rows, width]. */
function columnsOf(tensor: Tensor): number {
  return tensor.dims[1] ?? 1
}

/** The first row of each request. */
function firstsOf(requests: readonly number[]): number[] {
  let start = 0
  return requests.map((count) => {
    start += count
    return start - count
  })
}

/** For each row the number of its request. */
function numbersOf(requests: readonly number[]): number[] {
  return requests.flatMap((count, request) => new Array<number>(count).fill(request))
}

/** Rows of requests: every row of one has the same context. */
function requestsOf(
  graph: Graph,
  sides: Sides,
  requests: readonly number[],
  dice: Dice,
  lists: readonly ListColumns[],
): Feeds {
  const numbers = numbersOf(requests)
  const firsts = firstsOf(requests)
  const feeds = feedsOf(graph, numbers.length, dice)
  for (const list of lists) endInPadding(feeds, list, numbers.length, dice)
  for (const [name, tensor] of Object.entries(feeds)) {
    const data = tensor.data as Data
    const width = columnsOf(tensor)
    sides[name]?.forEach((side, column) => {
      if (side === 'context')
        numbers.forEach((request, row) => {
          data[row * width + column] = data[firsts[request]! * width + column]!
        })
    })
  }
  return feeds
}

/** Gives each row's list a random length, 0 included. */
function endInPadding(feeds: Feeds, { size, members }: ListColumns, rows: number, dice: Dice): void {
  const longest = dice.between(0, size)
  for (let row = 0; row < rows; row++) {
    const length = dice.between(0, longest)
    for (const { input, columns, padding } of members) {
      const { data } = feeds[input]! as { data: Data }
      const width = columnsOf(feeds[input]!)
      for (const column of columns.slice(length))
        data[row * width + column] = data instanceof BigInt64Array ? BigInt(padding) : padding
    }
  }
}

/** The plans with lists, however short, that are cut to their lengths; `left` receives why a list is not. */
export const withCutLists = (plans: Plans, lists: readonly ListColumns[], left: Map<string, string>): Plans =>
  changeEach(plans, (variant) => cutLists(variant, lists, (list, reason) => left.set(list, reason), 2))

/** Makes the candidate of one row that of another. */
function sameCandidate(feeds: Feeds, sides: Sides, from: number, to: number): void {
  for (const [name, tensor] of Object.entries(feeds)) {
    const data = tensor.data as Data
    const width = columnsOf(tensor)
    sides[name]?.forEach((side, column) => {
      if (side === 'candidate') data[to * width + column] = data[from * width + column]!
    })
  }
}

/** The columns that a plan's input takes of these rows. */
function packed(feeds: Feeds, { input, columns }: PackedInput, rows: number[]): Tensor {
  const { type, data } = feeds[input]! as { type: 'float32' | 'int32' | 'int64'; data: Data }
  const width = columnsOf(feeds[input]!)
  const values = data.slice(0, 0).constructor as new (length: number) => Data
  const taken = new values(rows.length * columns.length)
  rows.forEach((row, i) => {
    columns.forEach((column, j) => {
      taken[i * columns.length + j] = data[row * width + column]!
    })
  })
  return new ort.Tensor(type, taken as Float32Array, [rows.length, columns.length])
}

/** The inputs of a plan for these rows; `requests`: how many rows of each request there are. */
function feedsOfPlan(
  { graph, context, rows, lists = [] }: VariantGraph,
  feeds: Feeds,
  wanted: number[],
  requests: number[],
): Feeds {
  const all: Feeds = {}
  for (const input of context) all[input.name] = packed(feeds, input, firstsOf(requests))
  for (const input of rows) all[input.name] = packed(feeds, input, wanted)
  if (graph.inputs.some(({ name }) => name === planNames.requests)) {
    const numbers = Int32Array.from(requests.length === 1 ? [0] : numbersOf(requests))
    all[planNames.requests] = new ort.Tensor('int32', numbers, [numbers.length])
  }
  for (const list of lists) {
    const inputs = Object.fromEntries(
      list.members.map(({ input }) => [input, Array.from(feeds[input]!.data as ArrayLike<number | bigint>, Number)]),
    )
    const total = feeds[list.members[0]!.input]!.dims[0]!
    const { data, dims } = lengthTensor(
      longestList(list, inputs, total, list.each === 'requests' ? firstsOf(requests) : wanted),
    )
    all[list.name] = new ort.Tensor('int64', data, dims)
  }
  return all
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i)

/** The answers of a plan for all rows of requests. */
async function answersOfFresh(plan: VariantGraph, feeds: Feeds, requests: number[]): Promise<Answers> {
  const rows = requests.reduce((sum, count) => sum + count, 0)
  const [answers] = await answersOf(plan.graph, [feedsOfPlan(plan, feeds, range(rows), requests)])
  return answers!
}

/**
 * The answers of the plan for known candidates, where candidate `candidates[i]` of the requests' rows is kept in slot
 * `slots[i]` of slabs with `size` slots; all others hold what no answer may show. `row`: the row's place in `slots`.
 */
async function answersOfKnown(
  { cached, candidate_encoder, context_encoder, layers }: SplitGraphs,
  feeds: Feeds,
  {
    requests,
    candidates,
    slots,
    size,
    row,
  }: { requests: number[]; candidates: number[]; slots: number[]; size: number; row: number[] },
): Promise<Answers> {
  const [kept] = await answersOf(candidate_encoder!.graph, [
    feedsOfPlan(candidate_encoder!, feeds, candidates, requests),
  ])
  const [contexts] = context_encoder
    ? await answersOf(context_encoder.graph, [feedsOfPlan(context_encoder, feeds, [], requests)])
    : [{}]
  const all = feedsOfPlan(cached!, feeds, range(row.length), requests)
  const memory = createRowMemory({ layers, slots: size, mostRows: row.length })
  for (let slot = 0; slot < size; slot++)
    memory.keep(
      Int32Array.of(slot),
      layers.filter(({ kept }) => kept).map(({ width }) => new Float32Array(width).fill(Number.NaN)),
    )
  memory.keep(
    Int32Array.from(slots),
    layers.flatMap((layer, i) => (layer.kept ? [kept![planNames.part(i)]!.values] : [])),
  )
  const slotsOf = firstsOf(requests).map((first, i) =>
    Int32Array.from(row.slice(first, first + requests[i]!), (i) => slots[i]!),
  )
  memory.add(slotsOf, contexts?.[planNames.contexts]?.values ?? new Float32Array(0)).forEach((sums, layer) => {
    all[planNames.sum(layer)] = new ort.Tensor('float32', sums, [row.length, layers[layer]!.width])
  })
  const [answers] = await answersOf(cached!.graph, [all])
  return answers!
}

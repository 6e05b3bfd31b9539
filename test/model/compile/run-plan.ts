import ort from 'onnxruntime-node'
import type { Graph } from '../../../src/model/compile/graph.ts'
import type { PackedInput, PlanGraph, Sides, SplitGraphs } from '../../../src/model/compile/passes/split-sides.ts'
import { planNames } from '../../../src/model/compile/plan-names.ts'
import type { Dice } from './dice.ts'
import { type Answers, answersOf, differenceOf, type Feeds, feedsOf } from './run-graph.ts'

type Data = Float32Array | Int32Array | BigInt64Array

/** Where a plan answers something else than the whole graph, on random requests and slots. */
export async function breachOfPlans(
  graph: Graph,
  sides: Sides,
  plans: SplitGraphs,
  dice: Dice,
): Promise<string | undefined> {
  for (const rows of [1, 2, 6]) {
    const feeds = requestOf(graph, sides, rows, dice)
    if (rows > 2) sameCandidate(feeds, sides, 0, 3)
    const expected = await answersOf(graph, [feeds])
    if (plans.fresh) {
      const breach = differenceOf(expected, [await answersOfFresh(plans.fresh, feeds, rows)])
      if (breach) return `fresh: ${breach}`
    }
    if (plans.known) {
      const size = rows + dice.between(0, 4)
      const row = Array.from({ length: rows }, (_, i) => (rows > 2 && i === 3 ? 0 : i))
      const candidates = Array.from({ length: rows }, (_, i) => i)
      const slots = dice.shuffled(Array.from({ length: size }, (_, i) => i)).slice(0, rows)
      const breach = differenceOf(expected, [await answersOfKnown(plans, feeds, { candidates, slots, size, row })])
      if (breach) return `known: ${breach}`
    }
  }
  return undefined
}

/** Columns of a tensor [rows] or [rows, width]. */
function columnsOf(tensor: ort.Tensor): number {
  return tensor.dims[1] ?? 1
}

/** Rows of one request: every row has the same context. */
function requestOf(graph: Graph, sides: Sides, rows: number, dice: Dice): Feeds {
  const feeds = feedsOf(graph, rows, dice)
  for (const [name, tensor] of Object.entries(feeds)) {
    const data = tensor.data as Data
    const width = columnsOf(tensor)
    sides[name]?.forEach((side, column) => {
      if (side === 'context') for (let row = 1; row < rows; row++) data[row * width + column] = data[column]!
    })
  }
  return feeds
}

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
function packed(feeds: Feeds, { input, columns }: PackedInput, rows: number[]): ort.Tensor {
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

function feedsOfPlan({ context, rows }: PlanGraph, feeds: Feeds, wanted: number[]): Feeds {
  const all: Feeds = {}
  for (const input of context) all[input.name] = packed(feeds, input, [0])
  for (const input of rows) all[input.name] = packed(feeds, input, wanted)
  return all
}

const range = (n: number) => Array.from({ length: n }, (_, i) => i)

/** What a plan answers for all rows of a request. */
async function answersOfFresh(plan: PlanGraph, feeds: Feeds, rows: number): Promise<Answers> {
  const [answers] = await answersOf(plan.graph, [feedsOfPlan(plan, feeds, range(rows))])
  return answers!
}

/**
 * What the plan for known candidates answers, where candidate `candidates[i]` of the request's rows is kept in slot
 * `slots[i]` of slabs with `size` slots; all others hold what no answer may show. `row`: the row's place in `slots`.
 */
async function answersOfKnown(
  { known, parts, widths }: SplitGraphs,
  feeds: Feeds,
  { candidates, slots, size, row }: { candidates: number[]; slots: number[]; size: number; row: number[] },
): Promise<Answers> {
  const [kept] = await answersOf(parts!.graph, [feedsOfPlan(parts!, feeds, candidates)])
  const all = feedsOfPlan(known!, feeds, range(row.length))
  widths.forEach((width, layer) => {
    const slab = new Float32Array(size * width).fill(Number.NaN)
    const { values } = kept![planNames.part(layer)]!
    slots.forEach((slot, i) => {
      slab.set(values.subarray(i * width, (i + 1) * width), slot * width)
    })
    all[planNames.slab(layer)] = new ort.Tensor('float32', slab, [size, width])
  })
  const slotOfRow = Int32Array.from(row, (i) => slots[i]!)
  all[planNames.slots] = new ort.Tensor('int32', slotOfRow, [row.length])
  const [answers] = await answersOf(known!.graph, [all])
  return answers!
}

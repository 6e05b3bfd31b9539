import { join } from 'node:path'
import ort, { type InferenceSession } from 'onnxruntime-node'
import type { Cost, PlanPart } from '../compile/plan.ts'
import { planNames } from '../compile/plan-names.ts'
import { ModelError, reasonOf } from '../errors.ts'
import type { Batch } from './engine.ts'
import { createPacker, type Packer } from './packing.ts'
import type { FullCost } from './plan-cost.ts'

/** One graph of a plan, open in this thread. */
export interface Part {
  session: InferenceSession
  /** What its inputs take of the batch: of each request's first row, and of every row. */
  context: Packer[]
  rows: Packer[]
  /** Whether it must be told which request is each row's. */
  byRequest: boolean
  cost: FullCost
}

/** A cost as it is given. Rows of any requests share a call for nothing where no context is told apart. */
export function fullCost({ byRequest }: Part, { a, b, joined = { a, b: byRequest ? b : 0 } }: Cost): FullCost {
  return { a, b, joined }
}

/** Rejects with MODEL_FAILED where the file can't be opened. */
export async function openPart(
  folder: string,
  part: PlanPart,
  options: InferenceSession.SessionOptions,
): Promise<Part> {
  const session = await ort.InferenceSession.create(join(folder, part.file), options).catch((cause) => {
    throw new ModelError('MODEL_FAILED', `the compiled plan's ${part.file} can't be opened: ${reasonOf(cause)}`, {
      cause,
    })
  })
  const packers = (inputs: PlanPart['rows']) =>
    inputs.flatMap((input) => {
      const metadata = session.inputMetadata.find(({ name }) => name === input.name)
      // What ends up unused is no input of the session any more.
      return metadata?.isTensor ? [createPacker(input, metadata.type, metadata.shape.length)] : []
    })
  return {
    session,
    context: packers(part.context),
    rows: packers(part.rows),
    byRequest: session.inputNames.includes(planNames.requests),
    cost: { a: 0, b: 0, joined: { a: 0, b: 0 } },
  }
}

/** Runs a part on rows of a batch, request by request: each has the context of its first row. */
export function runPart(
  part: Part,
  batch: Batch,
  requests: readonly Int32Array[],
  more: Record<string, ort.Tensor> = {},
): Promise<InferenceSession.OnnxValueMapType> {
  const feeds = { ...more }
  const firsts = Int32Array.from(requests, (rows) => rows[0]!)
  const rows = joinRows(requests)
  for (const packer of part.context) feeds[packer.name] = packer.pack(batch, firsts)
  for (const packer of part.rows) feeds[packer.name] = packer.pack(batch, rows)
  if (part.byRequest) {
    const numbers = requests.length === 1 ? new Int32Array(1) : numbersOf(requests, rows.length)
    feeds[planNames.requests] = new ort.Tensor('int32', numbers, [numbers.length])
  }
  return part.session.run(feeds, { logSeverityLevel: 4 })
}

/** All rows, request by request. */
export function joinRows(requests: readonly Int32Array[]): Int32Array {
  if (requests.length === 1) return requests[0]!
  const all = new Int32Array(requests.reduce((sum, { length }) => sum + length, 0))
  let start = 0
  for (const rows of requests) {
    all.set(rows, start)
    start += rows.length
  }
  return all
}

/** The number of each row's request. */
function numbersOf(requests: readonly Int32Array[], rows: number): Int32Array {
  const numbers = new Int32Array(rows)
  let start = 0
  requests.forEach(({ length }, request) => {
    numbers.fill(request, start, start + length)
    start += length
  })
  return numbers
}

/** Rows of the requests of the calls by which costs are measured: what a row, a call, a request and its row cost follows. */
const measuredRequests = [[1], [128], new Array<number>(8).fill(16), new Array<number>(64).fill(2)] as const
/** Calls of each part at each: the first ones compile JavaScript and fill caches, the fastest of the others counts. */
const coldCalls = 10
const timedCalls = 15
/** Of slow graphs fewer calls tell enough, ms. */
const longest = 150

/**
 * Learns what a row, a call and a request of each part cost here, by running them on zeros, in turns: whatever else the
 * machine does meanwhile, it does to all. `more` are further inputs of a part for so many rows.
 */
export async function measureParts(
  parts: readonly { part: Part; more(rows: number): Record<string, ort.Tensor> }[],
): Promise<void> {
  const best = parts.map(() => measuredRequests.map(() => Number.POSITIVE_INFINITY))
  for (const [size, counts] of measuredRequests.entries()) {
    const rows = counts.reduce((sum, count) => sum + count, 0)
    let start = 0
    const requests = counts.map((count) => {
      start += count
      return Int32Array.from({ length: count }, (_, i) => start - count + i)
    })
    const measured = [...parts.entries()].filter(([, { part }]) => counts.length === 1 || part.byRequest)
    const batches = parts.map(({ part }) => zeros(part, rows))
    const started = performance.now()
    for (let call = 0; call < coldCalls + timedCalls; call++) {
      const last = performance.now() - started > longest * parts.length
      for (const [i, { part, more }] of measured) {
        const begun = performance.now()
        await runPart(part, batches[i]!, requests, more(rows))
        const microseconds = (performance.now() - begun) * 1000
        if (call >= coldCalls || last) best[i]![size] = Math.min(best[i]![size]!, microseconds)
      }
      if (last) break
    }
  }
  for (const [i, { part }] of parts.entries()) {
    const [one, many, few, most] = best[i] as [number, number, number, number]
    const a = Math.max(0, (many - one) / 127)
    const b = Math.max(0, one - a)
    // 8 requests: b + 128·joined.a + 7·joined.b; 64: b + 128·joined.a + 63·joined.b.
    const request = Math.max(0, (most - few) / 56)
    const joined = part.byRequest ? { a: Math.max(a, (few - b - 7 * request) / 128), b: request } : { a, b: 0 }
    part.cost = { a, b, joined }
  }
}

/** A batch of zeros with every input of a part. */
function zeros(part: Part, rows: number): Batch {
  const inputs: Batch['inputs'] = {}
  for (const { input, width, type } of [...part.context, ...part.rows]) {
    const size = rows * Math.max(width, (inputs[input]?.length ?? 0) / rows)
    inputs[input] = type === 'float32' ? new Float32Array(size) : new Int32Array(size)
  }
  return { rows, inputs }
}

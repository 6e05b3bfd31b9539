import { join } from 'node:path'
import ort, { type InferenceSession } from 'onnxruntime-node'
import type { Cost, PlanPart } from '../compile/plan.ts'
import { ModelError, reasonOf } from '../errors.ts'
import type { Batch } from './engine.ts'
import { createPacker, type Packer } from './packing.ts'

/** One graph of a plan, open in this thread. */
export interface Part {
  session: InferenceSession
  /** What its inputs take of the batch: of the request's first row, and of every row. */
  context: Packer[]
  rows: Packer[]
  cost: Cost
}

export function costOf({ a, b }: Cost, rows: number): number {
  return rows === 0 ? 0 : a * rows + b
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
  return { session, context: packers(part.context), rows: packers(part.rows), cost: { a: 0, b: 0 } }
}

/** Runs a part on rows of a batch, the context of which is that of the first of them. */
export function runPart(
  part: Part,
  batch: Batch,
  rows: Int32Array,
  more: Record<string, ort.Tensor> = {},
): Promise<InferenceSession.OnnxValueMapType> {
  const feeds = { ...more }
  for (const packer of part.context) feeds[packer.name] = packer.packRow(batch, rows[0]!)
  for (const packer of part.rows) feeds[packer.name] = packer.pack(batch, rows)
  return part.session.run(feeds, { logSeverityLevel: 4 })
}

/** Row counts at which costs are measured. */
const measuredRows = [1, 128] as const
/** Calls of each part at each: the first ones compile JavaScript and fill caches, the fastest of the others counts. */
const coldCalls = 10
const timedCalls = 15
/** Of slow graphs fewer calls tell enough, ms. */
const longest = 150

/**
 * Learns what a row and a call of each part cost here, by running them on zeros, in turns: whatever else the machine does
 * meanwhile, it does to all. `more` are further inputs of a part for so many rows.
 */
export async function measureParts(
  parts: readonly { part: Part; more(rows: number): Record<string, ort.Tensor> }[],
): Promise<void> {
  const best = parts.map(() => measuredRows.map(() => Number.POSITIVE_INFINITY))
  for (const [size, rows] of measuredRows.entries()) {
    const index = Int32Array.from({ length: rows }, (_, row) => row)
    const batches = parts.map(({ part }) => zeros(part, rows))
    const started = performance.now()
    for (let call = 0; call < coldCalls + timedCalls; call++) {
      const last = performance.now() - started > longest * parts.length
      for (const [i, { part, more }] of parts.entries()) {
        const begun = performance.now()
        await runPart(part, batches[i]!, index, more(rows))
        const microseconds = (performance.now() - begun) * 1000
        if (call >= coldCalls || last) best[i]![size] = Math.min(best[i]![size]!, microseconds)
      }
      if (last) break
    }
  }
  for (const [i, { part }] of parts.entries()) {
    const [few, many] = best[i] as [number, number]
    const a = Math.max(0, (many - few) / (measuredRows[1] - measuredRows[0]))
    part.cost = { a, b: Math.max(0, few - a) }
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

import { join } from 'node:path'
import type ort from 'onnxruntime-node'
import type { InferenceSession } from 'onnxruntime-node'
import { concat } from '../base/concat.ts'
import { ModelError, reasonOf } from '../base/errors.ts'
import { onnxruntime } from '../base/onnxruntime.ts'
import { planNames } from '../compile/sides/tensor-names.ts'
import type { Cost, VariantFile } from '../contracts/compiled-plan.ts'
import type { ProgramOptions } from '../onednn/open-program.ts'
import { openOnednn } from './onednn-session.ts'
import { createPacker } from './packing.ts'
import type { Feed, FullCost, GraphSession, OpenVariant, RequestRows, Variant } from './variant.ts'

/** A cost with its default for joined requests: they share a call for free where their contexts make no difference. */
export function fullCost(
  { byRequest }: Variant,
  { a, b, joined = { a, b: byRequest ? b : 0 }, ...engine }: Cost,
): FullCost {
  return { a, b, joined, ...engine }
}

/** Opens one graph of a plan in ONNX Runtime. Rejects with MODEL_FAILED where the file can't be opened. */
async function openSession(
  folder: string,
  { file }: VariantFile,
  options: InferenceSession.SessionOptions,
): Promise<GraphSession> {
  const session = await onnxruntime.InferenceSession.create(join(folder, file), options).catch((cause) => {
    throw new ModelError('MODEL_FAILED', `the compiled plan's ${file} can't be opened: ${reasonOf(cause)}`, { cause })
  })
  return {
    inputs: session.inputMetadata.flatMap((input) =>
      input.isTensor ? [{ name: input.name, type: input.type, rank: input.shape.length }] : [],
    ),
    // Its inputs are all tensors.
    run: (feeds) => session.run(feeds as Record<string, ort.Tensor>, { logSeverityLevel: 4 }),
    release: () => session.release(),
  }
}

/**
 * Opens one graph of a plan; `overlays`: of its live tables, by input. `precision`: of oneDNN, which is taken where it can compute
 * the graph; undefined: ONNX Runtime. Rejects with MODEL_FAILED where the file can't be opened.
 */
export async function openVariant(
  folder: string,
  file: VariantFile,
  options: InferenceSession.SessionOptions,
  overlays: Record<string, ort.Tensor> = {},
  precision?: ProgramOptions['precision'],
): Promise<OpenVariant> {
  const native = precision && (await openOnednn(folder, file, precision))
  const variant = createVariant(native ?? (await openSession(folder, file, options)), file, overlays)
  variant.cost.engine = native ? 'onednn' : 'onnx'
  return variant
}

/** A graph of a plan that computes rows of batches. */
function createVariant(session: GraphSession, file: VariantFile, overlays: Record<string, ort.Tensor>): OpenVariant {
  const packers = (inputs: VariantFile['rows']) =>
    inputs.flatMap((input) => {
      // An engine drops inputs that the graph doesn't use.
      const own = session.inputs.find(({ name }) => name === input.name)
      return own ? [createPacker(input, own.type, own.rank)] : []
    })
  const has = (input: string) => session.inputs.some(({ name }) => name === input)
  const context = packers(file.context)
  const rows = packers(file.rows)
  const overlaid = Object.keys(overlays).filter(has)
  const byRequest = has(planNames.requests)

  const run: OpenVariant['run'] = (batch, requests, more = {}) => {
    const feeds: Record<string, Feed> = { ...more }
    const firsts = Int32Array.from(requests, ({ rows }) => rows[0]!)
    const all = concat(
      Int32Array,
      requests.map(({ rows }) => rows),
    )
    for (const packer of context) feeds[packer.name] = packer.pack(batch, firsts)
    for (const packer of rows) feeds[packer.name] = packer.pack(batch, all)
    for (const name of overlaid) feeds[name] = overlays[name]!
    if (byRequest) {
      const numbers = requests.length === 1 ? new Int32Array(1) : numbersOf(requests, all.length)
      feeds[planNames.requests] = new onnxruntime.Tensor('int32', numbers, [numbers.length])
    }
    return session.run(feeds)
  }

  return {
    session,
    context,
    rows,
    byRequest,
    mostRows: Number.POSITIVE_INFINITY,
    cost: { a: 0, b: 0, joined: { a: 0, b: 0 } },
    run,
  }
}

/** The index of each row's request. */
function numbersOf(requests: readonly RequestRows[], total: number): Int32Array {
  const numbers = new Int32Array(total)
  let start = 0
  requests.forEach(({ rows }, request) => {
    numbers.fill(request, start, start + rows.length)
    start += rows.length
  })
  return numbers
}

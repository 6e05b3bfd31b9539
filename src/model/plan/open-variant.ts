import { join } from 'node:path'
import type ort from 'onnxruntime-node'
import type { InferenceSession } from 'onnxruntime-node'
import { concat } from '../base/concat.ts'
import { ModelError, reasonOf } from '../base/errors.ts'
import { onnxruntime } from '../base/onnxruntime.ts'
import { planNames } from '../compile/sides/tensor-names.ts'
import type { Cost, VariantFile } from '../contracts/compiled-plan.ts'
import { createPacker } from './packing.ts'
import type { FullCost, OpenVariant, RequestRows, Variant } from './variant.ts'

/** A cost with its default for joined requests: they share a call for free where their contexts make no difference. */
export function fullCost({ byRequest }: Variant, { a, b, joined = { a, b: byRequest ? b : 0 } }: Cost): FullCost {
  return { a, b, joined }
}

/** Opens one graph of a plan; `overlays`: of its live tables, by input. Rejects with MODEL_FAILED where the file can't be opened. */
export async function openVariant(
  folder: string,
  file: VariantFile,
  options: InferenceSession.SessionOptions,
  overlays: Record<string, ort.Tensor> = {},
): Promise<OpenVariant> {
  const session = await onnxruntime.InferenceSession.create(join(folder, file.file), options).catch((cause) => {
    throw new ModelError('MODEL_FAILED', `the compiled plan's ${file.file} can't be opened: ${reasonOf(cause)}`, {
      cause,
    })
  })
  const packers = (inputs: VariantFile['rows']) =>
    inputs.flatMap((input) => {
      const metadata = session.inputMetadata.find(({ name }) => name === input.name)
      // ONNX Runtime drops inputs that the graph doesn't use.
      return metadata?.isTensor ? [createPacker(input, metadata.type, metadata.shape.length)] : []
    })
  const context = packers(file.context)
  const rows = packers(file.rows)
  const overlaid = Object.keys(overlays).filter((name) => session.inputNames.includes(name))
  const byRequest = session.inputNames.includes(planNames.requests)

  const run: OpenVariant['run'] = (batch, requests, more = {}) => {
    const feeds = { ...more }
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
    return session.run(feeds, { logSeverityLevel: 4 })
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

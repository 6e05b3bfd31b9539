import type { Dataset } from '../data/dataset.ts'
import { encodeRows } from '../data/encode-rows.ts'
import { ModelError, reasonOf } from '../model/base/errors.ts'
import { formatTable } from '../model/base/text-table.ts'
import { readQuantizationRows } from '../model/bundle/quantization.ts'
import type { Bundle } from '../model/bundle/read.ts'
import { type JudgedRows, judgeFiles, limits } from '../model/compile/int8/judge.ts'
import { prepareInThread } from '../model/compile/prepare-in-thread.ts'
import { exactGraph, type Verdict } from '../model/contracts/compiled-plan.ts'
import { hasOwnIds } from '../model/features/layout.ts'
import { bindingsOf, namedInputs } from '../model/prediction/bindings.ts'
import { describeGraph, savedGraph } from '../model/prediction/load-graph.ts'
import type { RowsSpec } from '../schemas/rows-spec.ts'

/**
 * Compares int8 with float32 on rows of a data set, whose cells are those of the version's fields. The version's quantization rows, which
 * must not be among them, set the scales.
 *
 * Rejects with INVALID_BUNDLE without quantization rows, and with UNSUPPORTED_GRAPH if there is no int8 plan.
 */
export async function judgeInt8(
  bundle: Bundle,
  spec: Pick<RowsSpec, 'tasks'>,
  dataset: Dataset,
  rows: Int32Array,
  options: { cache: string | undefined; now: number },
): Promise<Verdict> {
  const { manifest, folder } = bundle
  const { tasks } = manifest
  const quantization = await readQuantizationRows(bundle)
  if (quantization === undefined)
    throw new ModelError('INVALID_BUNDLE', `${folder} has no quantization rows to set the scales of int8`)
  const { encoded } = encodeRows(manifest.features, dataset.cells, rows, dataset.place, { ownIds: hasOwnIds(manifest) })
  const labels = new Float32Array(encoded.rows * tasks.length)
  tasks.forEach(({ name }, column) => {
    const known = dataset.labels[spec.tasks.findIndex((task) => task.name === name)]
    rows.forEach((row, i) => {
      const label = known?.[row] ?? -1
      labels[i * tasks.length + column] = label < 0 ? Number.NaN : label
    })
  })
  const judged: JudgedRows = {
    rows: encoded.rows,
    inputs: namedInputs(manifest, encoded.sparse, encoded.dense),
    labels,
    tasks: tasks.map(({ name }) => name),
  }
  const { plan, problem } = await prepareInThread({
    ...describeGraph(manifest, quantization),
    precision: 'int8',
    source: savedGraph(bundle, [bindingsOf(manifest).probabilities]),
    ...options,
  })
  const int8 = plan?.description.int8
  if (plan === undefined || int8 === undefined)
    throw new ModelError('UNSUPPORTED_GRAPH', `${folder} has no int8 plan: ${plan?.description.int8Problem ?? problem}`)
  return judgeFiles(plan.folder, exactGraph(plan.description), int8.full, judged)
}

/** A verdict, or why there is none. */
export interface JudgedInt8 {
  verdict: Verdict | undefined
  problem: string | undefined
}

/** Like `judgeInt8`, but says why int8 can't be judged instead of rejecting. */
export async function judgeInt8Safely(...input: Parameters<typeof judgeInt8>): Promise<JudgedInt8> {
  try {
    return { verdict: await judgeInt8(...input), problem: undefined }
  } catch (error) {
    return { verdict: undefined, problem: reasonOf(error) }
  }
}

/** The comparison as a table of text. */
export function formatInt8({ passed, rows, tasks, reasons }: Verdict): string {
  const header = ['int8', 'AUC loss', 'mean change', 'p99 |Δlogit|', 'max |Δlogit|']
  const number = (value: number | null, limit?: number) =>
    value === null ? '–' : `${value.toExponential(1)}${limit === undefined ? '' : ` (${limit.toExponential(0)})`}`
  const lines = tasks.map(({ task, auc_loss, mean_change, logit_p99, logit_max }) => [
    task,
    number(auc_loss, limits.auc_loss),
    number(mean_change, limits.mean_change),
    number(logit_p99, limits.logit_p99),
    number(logit_max),
  ])
  const verdict = passed
    ? `within the limits (in brackets) on ${rows} rows`
    : `exceeds the limits: ${reasons.join('; ')}`
  return `${formatTable(header, lines)}\n${verdict}`
}

import { onnxruntime } from '../../src/base/onnxruntime.ts'
import type { ModelDetails } from '../../src/schemas/models.ts'
import { type Form, type FormName, forms } from './forms.ts'
import { type ReferenceModel, tasks } from './models.ts'
import type { Query } from './queries.ts'
import type { RunningServer, ServerKind } from './servers.ts'

/**
 * Float32 sums in another order and eight digits of text differ by less, a wrong id or row by more. A rounded
 * precision's largest difference on these queries is about half of its own.
 */
export const tolerances = { float32: 1e-4, bfloat16: 2e-3, int8: 2e-2 }

/** Expected probabilities of a query [rows, tasks], row-major. */
export type Answers = (query: EncodedRows) => Promise<Float32Array>

/** Queries have their numbers in float64, other rows in float32. */
type EncodedRows = Pick<Query, 'rows' | 'sparse'> & { dense: ArrayLike<number> }

/** Sparse and numeric fields of a model. */
type Widths = Record<'sparse' | 'dense', { fields: number }>

/** The exported graph, its path or its bytes, in ONNX Runtime, in this process. */
export async function createReference(onnx: string | Uint8Array, model: Widths): Promise<Answers> {
  // Its types have an overload for each.
  const session = await onnxruntime.InferenceSession.create(onnx as string, { logSeverityLevel: 3 })
  return async ({ rows, sparse, dense }) => {
    const { probabilities } = await session.run({
      sparse: new onnxruntime.Tensor('int32', sparse, [rows, model.sparse.fields]),
      dense: new onnxruntime.Tensor('float32', Float32Array.from(dense), [rows, model.dense.fields]),
    })
    return probabilities!.data as Float32Array
  }
}

/**
 * Sends all queries to a server together, so that batches are checked too. Throws if a status is not 200 or an answer
 * differs by more than the tolerance: a fast wrong answer is a defect and is not timed. Returns the largest difference.
 */
export async function checkAnswers(
  server: RunningServer,
  kind: ServerKind,
  form: FormName,
  model: ReferenceModel,
  queries: readonly Query[],
  answers: Answers,
): Promise<number> {
  const url = urlOf(server.base, kind, form, model)
  const differences = queries.map(async (query) => {
    const got = await ask(url, forms[form], query, model)
    return largestDifference(got, await answers(query))
  })
  const largest = Math.max(...(await Promise.all(differences)))
  if (largest > tolerances[kind.precision ?? 'float32'])
    throw new Error(`${kind.title}, ${forms[form].title}: answers differ by ${largest}`)
  return largest
}

/**
 * The precision that multigate serves: this one, or float32 where that is as fast. Throws, with the reason, if it
 * failed its check.
 */
export async function servedPrecision(
  { base }: RunningServer,
  { name }: ReferenceModel,
  precision: 'bfloat16' | 'int8',
): Promise<keyof typeof tolerances> {
  const answer = await fetch(new URL(`/models/${name}`, base))
  const { plan } = (await answer.json()) as ModelDetails
  const failed = plan?.precision !== precision && plan?.[`${precision}_check`]?.passed !== true
  if (plan === undefined || failed) throw new Error(plan?.notes.join('; ') ?? `${base} has no plan`)
  return plan.precision === precision ? precision : 'float32'
}

export function urlOf(base: URL, kind: ServerKind, form: FormName, model: ReferenceModel): URL {
  return new URL(kind.path ?? forms[form].path(model.name), base)
}

/** Throws if the status is not 200 or the number of probabilities is wrong. */
export async function ask(url: URL, form: Form, query: Query, model: ReferenceModel): Promise<number[]> {
  const { headers, body } = form.render(query, model)
  const answer = await fetch(url, { method: 'POST', headers, body: new Uint8Array(body) })
  const bytes = Buffer.from(await answer.arrayBuffer())
  if (answer.status !== 200) throw new Error(`${url} answers ${answer.status}: ${bytes.toString().slice(0, 500)}`)
  const probabilities = form.parse(bytes, answer.headers)
  const wanted = query.rows * tasks.length
  if (probabilities.length !== wanted)
    throw new Error(`${url} answers ${probabilities.length} probabilities, not ${wanted}`)
  return probabilities
}

/** NaN, and another length, count as infinitely far. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let largest = 0
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i]! - b[i]!)
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference
  }
  return largest
}

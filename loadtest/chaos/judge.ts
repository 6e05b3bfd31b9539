import { largestDifference } from '../competitors/check.ts'
import type { HttpAnswer } from './answers.ts'
import type { Ending } from './client.ts'
import { type KnownRequest, readPrediction, tolerance } from './versions.ts'

/** How a request ended. */
export type Outcome =
  /** 200, and what ONNX Runtime answers with the version that the answer names. */
  | 'right'
  /** Right, but after its deadline. */
  | 'late'
  /** A problem document of an error that the service promises under load or while it changes (docs/errors.md). */
  | 'refused'
  /** The connection was refused: nothing listens any more. */
  | 'no listener'
  /** All connections were busy: nothing was sent. */
  | 'not sent'
  /** 500 MODEL_FAILED, as where a thread died. */
  | 'failed'
  /** No answer. */
  | 'lost'
  /** Another answer. */
  | 'wrong'

export interface Verdict {
  outcome: Outcome
  /** Code of a refusal, or what is wrong; empty for a right answer. */
  reason: string
  /** Version that answered. */
  version?: string
}

export interface Deadline {
  /** After which an answer is of no use, ms. */
  deadlineMs: number
  /** By which an answer may come later: it travels, and the client shares its cores with the server, ms. */
  toleranceMs: number
}

/** Errors by design, and their statuses. Those of 429 always have `Retry-After`. */
const refusals: Record<string, number> = { QUEUE_FULL: 429, NOT_READY: 503, DRAINING: 503, DEADLINE_EXCEEDED: 504 }

/** The verdict on a request, by its answer alone; `tookMs` from sending to the answer. */
export function judge(
  ending: Ending,
  request: Pick<KnownRequest, 'expected'>,
  tookMs: number,
  { deadlineMs, toleranceMs }: Deadline,
): Verdict {
  if ('lost' in ending)
    return ending.lost === 'ECONNREFUSED'
      ? { outcome: 'no listener', reason: ending.lost }
      : { outcome: 'lost', reason: ending.lost }
  if (ending.answer.status !== 200) return judgeProblem(ending.answer)
  const verdict = judgePrediction(ending.answer.body, request)
  const isLate = verdict.outcome === 'right' && tookMs > deadlineMs + toleranceMs
  return isLate ? { ...verdict, outcome: 'late', reason: `after ${Math.round(tookMs)} ms` } : verdict
}

function judgePrediction(body: Buffer, { expected }: Pick<KnownRequest, 'expected'>): Verdict {
  try {
    const { version, values } = readPrediction(body)
    const right = expected.get(version)
    if (right === undefined) return { outcome: 'wrong', reason: `it is of version ${version}, which does not exist` }
    const difference = largestDifference(values, right)
    if (difference <= tolerance) return { outcome: 'right', reason: '', version }
    return { outcome: 'wrong', reason: `it differs by ${difference} from version ${version}`, version }
  } catch (error) {
    return { outcome: 'wrong', reason: `no prediction: ${(error as Error).message}` }
  }
}

function judgeProblem({ status, headers, body }: HttpAnswer): Verdict {
  const wrong = (reason: string): Verdict => ({ outcome: 'wrong', reason: `status ${status}, ${reason}` })
  if (headers.get('content-type')?.startsWith('application/problem+json') !== true) return wrong('no problem document')
  let problem: { status?: number; code?: string; request_id?: string; detail?: string }
  try {
    problem = JSON.parse(body.toString())
  } catch {
    return wrong('no JSON')
  }
  const { code = '' } = problem
  if (problem.status !== status) return wrong(`and ${problem.status} in the document`)
  if (problem.request_id !== headers.get('x-request-id')) return wrong('another request_id in the document')
  if (status === 500 && code === 'MODEL_FAILED') return { outcome: 'failed', reason: code }
  if (refusals[code] !== status) return wrong(`${code}: ${problem.detail}`)
  if (status === 429 && !(Number(headers.get('retry-after')) >= 1)) return wrong(`${code} without Retry-After`)
  return { outcome: 'refused', reason: code }
}

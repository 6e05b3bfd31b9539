import { ModelError, type ModelErrorCode, reasonOf } from '../../../base/errors.ts'
import { runThread } from '../../../base/one-shot-thread.ts'
import type { GraphSource } from '../../contracts/engine.ts'
import type { SavedSignature } from '../../contracts/saved-signature.ts'

/** The answer of the thread: errors lose their class on the way. */
export type SurveyAnswer = { signature: SavedSignature } | { code: ModelErrorCode; message: string; transient: boolean }

/** `survey` in a thread of its own, so that a large graph doesn't hold up those who are answered meanwhile. */
export async function surveyInThread(source: GraphSource): Promise<SavedSignature> {
  const script = new URL('./survey-thread.js', import.meta.url)
  const answer = await runThread<SurveyAnswer>(script, source).catch((error) => {
    throw new ModelError('UNSUPPORTED_GRAPH', `${source.file}: reading it failed: ${reasonOf(error)}`)
  })
  if ('signature' in answer) return answer.signature
  throw new ModelError(answer.code, answer.message, { transient: answer.transient })
}

/** The same of a graph that has several tensors for what is one to callers; undefined for any other. */
export async function surveyJoined({ joined, ...source }: GraphSource): Promise<SavedSignature | undefined> {
  return joined === undefined ? undefined : await surveyInThread(source)
}

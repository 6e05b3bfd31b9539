import { Worker } from 'node:worker_threads'
import { ModelError, type ModelErrorCode, reasonOf } from '../base/errors.ts'
import { sendNoUsageData } from '../base/usage-data.ts'
import type { GraphSource } from '../contracts/engine.ts'
import type { SavedSignature } from '../contracts/saved-signature.ts'

/** What the thread answers: errors lose their class on the way. */
export type SurveyAnswer = { signature: SavedSignature } | { code: ModelErrorCode; message: string }

/** `survey` in a thread of its own, so that a large graph doesn't hold up those who are answered meanwhile. */
export async function surveyInThread(source: GraphSource): Promise<SavedSignature> {
  sendNoUsageData()
  const answer = await new Promise<SurveyAnswer>((resolve) => {
    const worker = new Worker(new URL('./survey-thread.js', import.meta.url), { workerData: source })
    const fail = (message: string) => resolve({ code: 'UNSUPPORTED_GRAPH', message: `${source.file}: ${message}` })
    worker.once('message', resolve)
    worker.once('error', (error) => fail(`reading it failed: ${reasonOf(error)}`))
    worker.once('exit', (code) => fail(`the thread that read it ended with exit code ${code}`))
  })
  if ('signature' in answer) return answer.signature
  throw new ModelError(answer.code, answer.message)
}

/** The same of a graph that has several tensors for what is one to callers; undefined for any other. */
export async function surveyJoined({ joined, ...source }: GraphSource): Promise<SavedSignature | undefined> {
  return joined === undefined ? undefined : await surveyInThread(source)
}

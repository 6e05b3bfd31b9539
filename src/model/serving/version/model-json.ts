import { readFile } from 'node:fs/promises'
import { isTransient, ModelError, reasonOf } from '../../../base/errors.ts'
import { fileReason, sizeOfOrdinary } from '../../../base/files.ts'
import { runThread } from '../../../base/one-shot-thread.ts'

export type ModelJsonFormat = 'layers' | 'graph_model'

/** The answer that the thread sends. */
export type ModelJsonAnswer = { format: ModelJsonFormat } | { problem: string; transient: boolean }

/** Larger is no model.json. */
const largestTopology = 512 * 1024 * 1024
/** Files up to this size, bytes, are parsed in the calling thread: that takes a few milliseconds. */
const smallTopology = 1 << 16

/** Which of TensorFlow.js's formats a model.json has; `where` names it in errors. Rejects with INVALID_BUNDLE. */
export async function formatOfModelJson(path: string, where: string): Promise<ModelJsonFormat> {
  const invalid = (problem: string, details: { transient?: boolean; cause?: unknown }) =>
    new ModelError('INVALID_BUNDLE', `${where} ${problem}`, details)
  const size = await sizeOfOrdinary(path).catch((cause) => {
    throw invalid(`can't be read: ${fileReason(cause)}`, { cause })
  })
  if (size > largestTopology) throw invalid(`is larger than ${largestTopology} bytes`, {})
  const answer = await (size > smallTopology ? readInThread(path) : readModelJson(path))
  if ('format' in answer) return answer.format
  throw invalid(answer.problem, answer)
}

/** Never rejects. */
export async function readModelJson(path: string): Promise<ModelJsonAnswer> {
  try {
    const json = JSON.parse(await readFile(path, 'utf8'))
    const { format, modelTopology } = (json ?? {}) as { format?: unknown; modelTopology?: { node?: unknown } }
    const isGraph = format === 'graph-model' || Array.isArray(modelTopology?.node)
    return { format: isGraph ? 'graph_model' : 'layers' }
  } catch (error) {
    if (error instanceof SyntaxError) return { problem: 'is not JSON', transient: false }
    return { problem: `can't be read: ${fileReason(error)}`, transient: isTransient(error) }
  }
}

function readInThread(path: string): Promise<ModelJsonAnswer> {
  return runThread<ModelJsonAnswer>(new URL('./model-json-thread.js', import.meta.url), path).catch((error) => ({
    problem: `can't be read: ${reasonOf(error)}`,
    transient: false,
  }))
}

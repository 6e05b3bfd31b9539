import { parentPort, workerData } from 'node:worker_threads'
import { isTransient, ModelError, reasonOf } from '../../../base/errors.ts'
import type { GraphSource } from '../../contracts/engine.ts'
import { survey } from './survey.ts'
import type { SurveyAnswer } from './survey-in-thread.ts'

/* A thread that reads one graph and ends. */

async function answer(): Promise<SurveyAnswer> {
  try {
    return { signature: await survey(workerData as GraphSource) }
  } catch (error) {
    const code = error instanceof ModelError ? error.code : 'UNSUPPORTED_GRAPH'
    return { code, message: reasonOf(error), transient: isTransient(error) }
  }
}

parentPort?.postMessage(await answer())

import type { EvaluationReport } from '../../src/schemas/evaluation.ts'
import { type RunEvaluateOptions, runEvaluate } from '../../src/tools/evaluate/run-evaluate.ts'
import { specs } from './tiny.ts'

/** The options of `multigate evaluate` and its kin, unless a test says otherwise; output is dropped. */
export const evaluateDefaults: Omit<RunEvaluateOptions, 'data'> = {
  specs,
  models: 'models',
  target: undefined,
  modelVersion: undefined,
  service: undefined,
  precisions: [],
  predictions: undefined,
  part: undefined,
  seed: 1,
  report: undefined,
  json: false,
  gate: undefined,
  command: 'multigate evaluate',
  multigateVersion: '0.0.0',
  // Many evaluations open the same version.
  cache: process.env.MULTIGATE_CACHE,
  // A second one takes longer to start than to predict so few rows.
  threads: 1,
  now: () => 0,
  signal: new AbortController().signal,
  out: { write: () => true },
  err: { write: () => true },
}

/** The report of an evaluation. */
export async function evaluateToJson(
  options: Partial<RunEvaluateOptions> & Pick<RunEvaluateOptions, 'data'>,
): Promise<EvaluationReport> {
  const out: string[] = []
  await runEvaluate({ ...evaluateDefaults, ...options, json: true, out: { write: (text) => out.push(text) } })
  return JSON.parse(out.join(''))
}

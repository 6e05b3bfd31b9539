import type { KnownModel } from './entry.ts'
import { whyNotReady } from './status.ts'

/** The facts that decide whether requests can be answered. */
export interface ReadinessInput {
  /** Models that must answer; where empty, it is enough that every model found at the start has loaded or failed. */
  required: readonly string[]
  /** Models found at the start that have neither loaded nor failed yet; undefined before any was found. */
  starting: ReadonlySet<string> | undefined
  /** Every model that should exist or does. */
  models: readonly string[]
  known(name: string): KnownModel
  /** Whether the model answers now. */
  answers(name: string): boolean
  /** The folder has been looked at. */
  looked: boolean
  /** The problem of the folder as a whole. */
  problem: string | undefined
}

/**
 * Why requests can't be answered yet, each reason with the name of the model that is waited for; empty when they can
 * be.
 *
 * Once a model that is waited for has loaded, no version that comes later counts: only that something answers.
 */
export function whyUnready(input: ReadinessInput): string[] {
  const { required, starting, models, known, answers, looked, problem } = input
  const why = (name: string) => `${name}: ${starting?.has(name) ? whyStarting(known(name)) : whyNotReady(known(name))}`
  const folder = problem === undefined ? [] : [problem]
  if (required.length > 0) {
    const missing = required.filter((name) => starting?.has(name) || !answers(name))
    if (missing.length === 0) return []
    if (!looked && starting === undefined) return missing.map((name) => `${name}: ${waiting}`)
    return [...folder, ...missing.map(why)]
  }
  if (starting !== undefined && starting.size > 0) return [...starting].map(why)
  if (models.some(answers)) return []
  if (!looked) return ['the models folder is being read']
  return models.length === 0 ? [...folder, 'there is no model in the folder'] : [...folder, ...models.map(why)]
}

const waiting = 'it is waiting to be loaded'

function whyStarting({ entries }: KnownModel): string {
  return entries.some(({ state }) => state === 'loading') ? 'it is being loaded' : waiting
}

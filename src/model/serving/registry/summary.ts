import type { ModelErrorCode } from '../../../base/errors.ts'
import { compareVersions } from '../../../base/names.ts'
import { describeIncompatibility } from './compatibility.ts'
import type { KnownModel } from './entry.ts'

/** `empty`: its folder holds no version that can be looked at. */
export const modelStates = ['ready', 'loading', 'failed', 'unloaded', 'empty'] as const
export type ModelState = (typeof modelStates)[number]

/** The kind of a failure: an error's code in lower case, or `unforeseen`. A closed set. */
export type FailureReason = Lowercase<ModelErrorCode> | 'unforeseen'

export interface FailedVersion {
  name: string
  version: string
  reason: FailureReason
  /** For operators. */
  message: string
}

/** A version that waits for its time, ms since 1970. */
export interface ScheduledVersion {
  name: string
  version: string
  activateAt: number
}

export interface RegistrySummary {
  states: Record<ModelState, number>
  /** The version that answers, by model. */
  answering: Record<string, string>
  failed: readonly FailedVersion[]
  /**
   * Versions that answer, and refuse what a lower version in the folder, or their own former files, accepted before
   * them.
   */
  incompatible: readonly Omit<FailedVersion, 'reason'>[]
  scheduled: readonly ScheduledVersion[]
  /** Models that go on serving although they vanished from the folder. */
  missing: number
  /** Why the folder can't be read now. */
  unreadable: string | undefined
}

/** The summary of all models. */
export function summaryOf(models: readonly KnownModel[]): Omit<RegistrySummary, 'missing' | 'unreadable'> {
  const count = (state: ModelState) => models.filter((model) => stateOf(model) === state).length
  return {
    states: Object.fromEntries(modelStates.map((state) => [state, count(state)])) as Record<ModelState, number>,
    answering: Object.fromEntries(
      models.flatMap(({ name, answering, unloaded }) => (answering && !unloaded ? [[name, answering.version]] : [])),
    ),
    failed: models.flatMap(failedOf),
    incompatible: models.flatMap(incompatibleOf),
    scheduled: models.flatMap(scheduledOf),
  }
}

/** A model is as its best version. */
export function stateOf({ entries, answering, unloaded, source }: KnownModel): ModelState {
  if (unloaded) return 'unloaded'
  if (answering !== undefined) return 'ready'
  if (entries.some(({ state }) => state === 'loading')) return 'loading'
  if (entries.some(({ state }) => state === 'failed')) return 'failed'
  return (source?.versions.length ?? 0) > 0 ? 'loading' : 'empty'
}

/**
 * Versions in the folder that failed to load, those whose files have changed and can't be served, and those that are
 * loaded but must not take over.
 */
function failedOf({ name, entries, source, answering }: KnownModel): FailedVersion[] {
  const there = new Set(source?.versions.map(({ version }) => version))
  return entries.flatMap((entry) => {
    const { version, state, failure, error = 'it failed', incompatibility } = entry
    if (!there.has(version)) return []
    if (state === 'failed' || (state === 'ready' && entry.error !== undefined))
      return [{ name, version, reason: reasonOf(failure), message: error }]
    if (incompatibility === undefined || entry === answering || state !== 'ready') return []
    return [{ name, version, reason: reasonOf('INCOMPATIBLE'), message: describeIncompatibility(incompatibility) }]
  })
}

/**
 * The version that answers, where it has broken a contract; going back to a lower one breaks only what that never
 * promised.
 */
function incompatibleOf({ name, source, answering }: KnownModel): Omit<FailedVersion, 'reason'>[] {
  const { version = '', incompatibility } = answering ?? {}
  const former = source?.versions.find((one) => one.version === incompatibility?.with)
  if (incompatibility === undefined || former === undefined || compareVersions(former.version, version) > 0) return []
  return [{ name, version, message: describeIncompatibility(incompatibility) }]
}

/** Versions in the folder whose time has not come, loaded or not. */
function scheduledOf({ name, scheduled, source }: KnownModel): ScheduledVersion[] {
  const versions = source?.versions.filter(({ version }) => scheduled.has(version)) ?? []
  return versions.flatMap(({ version, activateAt }) =>
    activateAt === undefined ? [] : [{ name, version, activateAt }],
  )
}

const reasonOf = (code: ModelErrorCode | undefined): FailureReason =>
  code === undefined ? 'unforeseen' : (code.toLowerCase() as Lowercase<ModelErrorCode>)

import { compareVersions } from '../../../base/names.ts'
import type { ModelStatus, VersionStatus } from '../../../schemas/models.ts'
import { describeGap } from './compatibility.ts'
import type { KnownModel } from './entry.ts'
import type { SourceVersion } from './source.ts'

/** Why a model without a ready version has none: who may ask it may also ask for its status, which has the reasons. */
export function whyNotReady({ entries, source, scheduled, unloaded }: KnownModel): string {
  if (unloaded) return 'it was unloaded'
  if (entries.some(({ state }) => state === 'loading')) return 'it is being loaded'
  const failed = entries.filter(({ error }) => error !== undefined)
  const times = source?.versions.filter(({ version }) => scheduled.has(version)) ?? []
  const failures = failed.map(({ version, error }) => `version ${version} failed: ${error}`)
  const reasons = [...failures, ...times.flatMap(whyScheduled)]
  if (reasons.length > 0) return reasons.join('; ')
  return source === undefined ? 'there is no such model' : (source.problem ?? 'it is waiting to be loaded')
}

const whyScheduled = ({ version, activateAt }: SourceVersion) =>
  activateAt === undefined ? [] : [`version ${version} takes effect at ${new Date(activateAt).toISOString()}`]

/** The status of a model in `GET /models`; highest version first. `isImplied`: no default model is configured. */
export function statusOf(model: KnownModel, isDefault: boolean, isImplied: boolean): ModelStatus {
  const { name, source, unloaded, answering } = model
  const { labels = {}, pin } = source ?? {}
  const problem = modelProblem(model)
  return {
    name,
    default: isDefault,
    ...(isDefault && isImplied ? { default_implied: true } : {}),
    ...(unloaded ? { unloaded } : {}),
    ...(answering && !unloaded ? { default_version: answering.version } : {}),
    ...(pin === undefined ? {} : { pin }),
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
    ...(problem === undefined ? {} : { problem }),
    versions: versionsOf(model),
  }
}

function versionsOf({ entries, source, scheduled }: KnownModel): VersionStatus[] {
  const times = new Map(source?.versions.map(({ version, activateAt }) => [version, activateAt]))
  const timeOf = (version: string) => {
    const time = times.get(version)
    return time === undefined ? {} : { activate_at: new Date(time).toISOString() }
  }
  const loaded = new Set(entries.map(({ version }) => version))
  const others = source?.versions.filter(({ version }) => !loaded.has(version)) ?? []
  const statuses = [
    ...entries.map(({ version, state, model, error, incompatibility }) => ({
      version,
      state: state === 'ready' && scheduled.has(version) ? ('scheduled' as const) : state,
      ...timeOf(version),
      ...(model ? { engine: model.engine, precision: model.plan.precision } : {}),
      ...(model && model.plan.tables !== 'float32' && { tables: model.plan.tables }),
      ...(model?.live && { deltas: model.live.status() }),
      ...(error === undefined ? {} : { error }),
      ...(incompatibility && { incompatible: { ...incompatibility, problems: [...incompatibility.problems] } }),
    })),
    ...others.map(({ version }) => ({ version, state: 'not_loaded' as const, ...timeOf(version) })),
  ]
  return statuses.sort((a, b) => compareVersions(b.version, a.version))
}

function modelProblem(model: KnownModel): string | undefined {
  return joined([model.source?.problem, referenceProblem(model)])
}

/** Problems of a model's pin, labels, schedules and comparison of versions; it may serve nevertheless. */
export function referenceProblem(model: Omit<KnownModel, 'names'>): string | undefined {
  return joined([pinProblem(model), ...labelProblems(model), ...scheduleProblems(model), gapProblem(model)])
}

function joined(problems: (string | undefined)[]): string | undefined {
  return problems.filter((text) => text !== undefined).join('; ') || undefined
}

function pinProblem({ source, entries, answering, unloaded }: Omit<KnownModel, 'names'>): string | undefined {
  const pin = source?.pin
  if (source === undefined || pin === undefined || unloaded || answering?.version === pin) return undefined
  const entry = entries.find(({ version }) => version === pin)
  if (entry?.state === 'loading') return undefined
  const there = source.versions.some(({ version }) => version === pin)
  if (there && entry?.state !== 'failed') return undefined
  const reason = there ? `it failed: ${entry?.error}` : 'it is not in the folder'
  const instead = answering === undefined ? 'no version answers' : `version ${answering.version} answers`
  return `version ${pin} is pinned, but ${reason}; ${instead}`
}

/** Versions that the one that answers was not compared with, until their folders are gone. */
function gapProblem({ source, answering, unloaded }: Omit<KnownModel, 'names'>): string | undefined {
  const isThere = (version: string) => source?.versions.some((known) => known.version === version)
  if (!answering?.gap?.skipped.some(isThere) || unloaded) return undefined
  return `version ${answering.version} was ${describeGap(answering.gap)}`
}

function labelProblems({ source, entries, unloaded }: Omit<KnownModel, 'names'>): string[] {
  if (source === undefined || unloaded) return []
  const known = new Set([...source.versions, ...entries].map(({ version }) => version))
  return Object.entries(source.labels)
    .filter(([, version]) => !known.has(version))
    .map(
      ([label, version]) => `label ${JSON.stringify(label)} points to version ${version}, which is not in the folder`,
    )
}

/** Schedules that can't be followed; where a version failed for that, its error says so. */
function scheduleProblems({ source, entries }: Omit<KnownModel, 'names'>): string[] {
  const failed = new Set(entries.filter(({ state }) => state === 'failed').map(({ version }) => version))
  return (source?.versions ?? []).flatMap(({ version, problem }) =>
    problem === undefined || failed.has(version) ? [] : [problem],
  )
}

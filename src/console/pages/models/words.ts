import { AskError, ask, client, type Schemas } from '../../api/client.ts'

export type Model = Schemas['ModelStatus']
export type Version = Schemas['VersionStatus']
export type Details = Schemas['ModelDetails']
export type Field = Schemas['FieldDetails']
export type Distributions = Schemas['VersionDistributions']
export type Bin = Schemas['DistributionBin']
export type Task = NonNullable<Details['tasks']>[number]
export type Quality = NonNullable<Details['quality']>[string]
export type Report = Schemas['EvaluationReport']
export type TaskEvaluation = Report['tasks'][number]
export type Plan = NonNullable<Details['plan']>

/** A word for a population stability index, and how it is shown; by the usual convention. */
export function driftWord(psi: number | null | undefined): { word: string; tone: string } {
  if (psi === null || psi === undefined) return { word: 'too few values', tone: '' }
  if (psi < 0.1) return { word: 'steady', tone: 'good' }
  if (psi < 0.25) return { word: 'moved', tone: 'warning' }
  return { word: 'drifted', tone: 'bad' }
}

export const stateTones: Record<Version['state'], string> = {
  ready: 'good',
  loading: '',
  draining: 'warning',
  failed: 'bad',
  scheduled: '',
  not_loaded: '',
}

export const stateNames: Record<Version['state'], string> = {
  ready: 'ready',
  loading: 'loading',
  draining: 'draining',
  failed: 'failed',
  scheduled: 'scheduled',
  not_loaded: 'not loaded',
}

const architectureNames: Record<string, string> = {
  shared_bottom: 'Shared bottom',
  mixture_of_experts: 'Mixture of experts',
  multi_gate: 'Multi-gate mixture of experts (MMoE)',
  aitm: 'Adaptive information transfer (AITM)',
  ple: 'Progressive layered extraction (PLE)',
  esmm: 'Entire space model (ESMM)',
  single_task: 'Single tasks',
}

/** The name of an architecture in papers; others have their own. */
export function architectureName({ architecture, plan }: Details): string {
  const name = String(architecture?.name ?? '')
  return architectureNames[name] ?? (name === '' ? `Graph (${plan?.graph ?? 'unknown format'})` : name)
}

/** `one` of exactly one, else `many`. */
export const plural = (count: number, one: string, many = `${one}s`): string => (count === 1 ? one : many)

/**
 * A version in full; one that has no details has only its model's status. Rejects with the reason where it failed to
 * load.
 */
export async function askDetails(model: string, version: string | undefined): Promise<Details> {
  if (version === undefined) return askModel(model)
  try {
    return await ask(client.GET('/models/{model}/versions/{version}', { params: { path: { model, version } } }))
  } catch (error) {
    throw (await failureOf(model, version, error as AskError)) ?? error
  }
}

const askModel = (model: string) => ask(client.GET('/models/{model}', { params: { path: { model } } }))

/** To the server, a version that failed to load is one that it does not have; its model says why. */
async function failureOf(model: string, version: string, { problem }: AskError): Promise<AskError | undefined> {
  if (problem?.code !== 'VERSION_NOT_FOUND') return undefined
  const status = await askModel(model).catch(() => undefined)
  const reason = status?.versions.find((one) => one.version === version)?.error
  return reason === undefined
    ? undefined
    : new AskError(reason, { ...problem, title: `Version ${version} failed to load` })
}

export const askModels = (): Promise<Schemas['ModelList']> => ask(client.GET('/models'))

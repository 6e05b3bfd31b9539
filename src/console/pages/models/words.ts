import { findArchitecture } from '../../../model/graph/architectures/table.ts'
import type { Schemas } from '../../api/client.ts'

export type Model = Schemas['ModelStatus']
export type Version = Schemas['VersionStatus']
export type Details = Schemas['ModelDetails']
export type Field = Schemas['FieldDetails']
export type Crossed = Schemas['CrossedDetails']
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

/** Whether a version can be asked, and has details. */
export const isLoaded = (state: Version['state']): boolean =>
  state === 'ready' || state === 'scheduled' || state === 'draining'

/** The name of an architecture in papers; others have their own. */
export function architectureName({ architecture, plan }: Details): string {
  const name = String(architecture?.name ?? '')
  return findArchitecture(name)?.title ?? (name === '' ? `Graph (${plan?.graph ?? 'unknown format'})` : name)
}

import { findArchitecture } from '../../../model/graph/architectures/table.ts'
import type { Schemas } from '../../api/client.ts'

export type Model = Schemas['ModelStatus']
export type Version = Schemas['VersionStatus']
export type Details = Schemas['ModelDetails']
export type Field = Schemas['FieldDetails']
export type Entity = NonNullable<Details['entities']>[number]
export type Crossed = Schemas['CrossedDetails']
export type Distributions = Schemas['VersionDistributions']
export type Bin = Schemas['DistributionBin']
export type Task = NonNullable<Details['tasks']>[number]
export type Quality = NonNullable<Details['quality']>[string]
export type Report = Schemas['EvaluationReport']
export type TaskEvaluation = Report['tasks'][number]
export type Plan = NonNullable<Details['plan']>

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

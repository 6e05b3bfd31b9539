import { psiOf } from '../../model/drift/bins.ts'
import { type BinDescription, describeFieldBins, describeTaskBins } from '../../model/drift/describe-bins.ts'
import type { Observed } from '../../model/drift/monitor.ts'
import type { LoadedModel } from '../../model/prediction/contract.ts'
import type { FieldDistribution, TaskDistribution, VersionDistributions } from '../../schemas/model-versions.ts'
import { keyOf, type Observations } from '../request/observations.ts'

/** Distributions of a version, then and now. `observations`: of all processes. */
export function describeDistributions(
  { manifest, encoder, observed }: Pick<LoadedModel, 'manifest' | 'encoder' | 'observed'>,
  { counted, unknown }: Observations,
): VersionDistributions {
  const { name: model, version } = manifest
  const { slots, sparse } = encoder.layout
  const sums = new Map(counted.map((one) => [keyOf(one), one]))
  const all = observed().map((own): Observed => {
    const sum = sums.get(keyOf(own)) ?? own
    return { ...own, ...sum, psi: psiOf(own.reference.shares, sum) }
  })
  const byField = new Map(all.filter(({ kind }) => kind === 'feature').map((one) => [one.name, one]))
  const fields = slots.map(({ name, sparse: isSparse, column, encoder: fieldEncoder }): FieldDistribution => {
    const found = byField.get(name)
    const isMarked = manifest.features.find((field) => field.name === name)?.log !== undefined
    const offset = (isSparse ? sparse[column]?.offset : undefined) ?? 0
    return {
      ...(found === undefined
        ? unreferenced(name)
        : compare(found, describeFieldBins(found.reference, fieldEncoder, offset), isMarked)),
      unknown: unknown.get(name) ?? 0,
    }
  })
  const tasks = all.filter(({ kind }) => kind === 'task').map((one) => compare(one, describeTaskBins(one.reference)))
  return { model, version, fields, tasks }
}

const unreferenced = (name: string): TaskDistribution => ({ name, psi: null, observations: 0, bins: [] })

/** Fewer values are those of single requests, which are nobody else's business; as many as drift needs. */
const leastShown = 500

/** Shares to a millionth. */
const rounded = (share: number) => Number(share.toFixed(6))

/** `isMarked`: live values of the field are kept from logs, and from here. */
function compare(
  { name, psi, reference, total, counts }: Observed,
  bins: BinDescription[],
  isMarked = false,
): TaskDistribution {
  const isShown = !isMarked && total >= leastShown
  return {
    name,
    psi: psi ?? null,
    observations: isMarked ? 0 : total,
    bins: bins.map((bin, i) => ({
      ...bin,
      then: rounded(reference.shares[i]!),
      now: isShown ? rounded(counts[i]! / total) : 0,
    })),
  }
}

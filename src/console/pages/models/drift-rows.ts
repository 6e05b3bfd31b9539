import type { DistributionBin, VersionDistributions } from '../../../schemas/model-versions.ts'
import type { FieldDetails } from '../../../schemas/models.ts'
import { number } from '../../parts/format.ts'

/** A distribution then and now. A list has two: of each of its values, and of how many there are. */
export interface DriftRow {
  kind: 'field' | 'values' | 'length' | 'vector' | 'task'
  /** The field or the task. */
  name: string
  psi: number | null
  observations: number
  bins: readonly DistributionBin[]
  unknown: number
  /** Unknown values are left out of the list. */
  drops?: boolean
}

/** Values of which an index is computed at least. */
export const fewest = 500

const nothing = { psi: null, observations: 0, bins: [], unknown: 0 }

/** All fields and tasks, those that moved most first. */
export function rowsOf(
  { fields, tasks }: VersionDistributions,
  described: readonly Pick<FieldDetails, 'name' | 'list' | 'length' | 'out_of_vocabulary'>[],
): DriftRow[] {
  const byName = new Map(described.map((field) => [field.name, field]))
  const rows: DriftRow[] = [
    ...fields.flatMap(({ lengths, ...field }): DriftRow[] => {
      const { list, length, out_of_vocabulary: unknown } = byName.get(field.name) ?? {}
      if (length !== undefined) return [{ kind: 'vector', ...field }]
      if (list === undefined) return [{ kind: 'field', ...field }]
      return [
        { kind: 'values', drops: unknown === 'drop', ...field },
        { kind: 'length', ...nothing, ...lengths, name: field.name },
      ]
    }),
    ...tasks.map((task): DriftRow => ({ kind: 'task', unknown: 0, ...task })),
  ]
  return rows.sort((a, b) => (b.psi ?? -1) - (a.psi ?? -1) || b.unknown - a.unknown)
}

/** A word for a population stability index, and how it is shown; by the usual convention. */
export function driftWord(psi: number | null | undefined): { word: string; tone: string } {
  if (psi === null || psi === undefined) return { word: 'too few values', tone: '' }
  if (psi < 0.1) return { word: 'steady', tone: 'good' }
  if (psi < 0.25) return { word: 'moved', tone: 'warning' }
  return { word: 'drifted', tone: 'bad' }
}

/** How many have moved, in a sentence. */
export function summaryOf(rows: readonly DriftRow[]): string {
  const comparable = rows.filter(({ bins }) => bins.length > 0)
  const measured = comparable.filter(({ psi }) => psi !== null)
  if (comparable.length === 0)
    return 'The version has no reference: drift cannot be measured. multigate calibrate adds one, from rows with labels.'
  if (measured.length === 0) return `No index yet: each needs ${fewest} recent values.`
  const words = [...measured, ...comparable.filter(({ psi }) => psi === null)].map(({ psi }) => driftWord(psi).word)
  const counts = [...new Set(words)].map((word) => `${words.filter((one) => one === word).length} ${word}`)
  const what = rows.some(({ kind }) => kind === 'length') ? 'fields, lengths of lists and tasks' : 'fields and tasks'
  return `Of ${comparable.length} ${what}: ${counts.join(', ')}.`
}

/** The values that a distribution is of, for a sentence. */
export function subjectOf({ kind, name }: Pick<DriftRow, 'kind' | 'name'>): string {
  if (kind === 'values') return `values of ${name}`
  return kind === 'length' ? `lengths of ${name}` : name
}

/** How many values have come, and how many of them were unknown. */
export function describeObservations({ kind, observations, bins, unknown, drops }: DriftRow): string {
  const recent = `${number(observations, 9)} recent ${kind === 'length' ? 'lists' : 'values'}`
  const few = observations < fewest ? `, of which an index needs ${fewest}` : ''
  const alone = kind === 'vector' ? 'Vectors are not compared.' : 'The version has nothing to compare it with.'
  const fate = drops ? 'they are left out' : 'the network treats them all alike'
  const outside = `${number(unknown, 9)} values were outside the vocabulary or range; ${fate}.`
  return [bins.length > 0 ? `${recent}${few}.` : alone, ...(unknown > 0 ? [outside] : [])].join(' ')
}

/** How long a list mostly is in a reference: from the 10th to the 90th percentile. Undefined without one. */
export function usualLength(bins: readonly DistributionBin[] = []): [low: number, high: number] | undefined {
  const [low, high] = [bins[0]?.high, bins.at(-1)?.low]
  return low === undefined || high === undefined ? undefined : [low, high]
}

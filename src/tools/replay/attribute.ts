import { logit } from '../../model/quality/metrics.ts'
import type { FeatureValue } from '../../schemas/feature-value.ts'
import type { Predictor } from '../evaluate/predictor.ts'
import type { CollectedWinner } from './collect.ts'
import { Moments } from './differences.ts'

/** Candidates, as columns by field. */
export type Columns = Readonly<Record<string, readonly FeatureValue[]>>

/** A newer version, and the one that it is compared with. */
export type Versions = readonly [after: Predictor, before: Predictor]

/**
 * Per task and field, how much of the difference of two versions depends on the field: the total effect of Sobol, by
 * Jansen's estimator (1999), of the difference of logits. One field at a time takes the value of another candidate; 0
 * where that changes no difference, 1 where the differences then are those of other candidates. A field that
 * others follow from has no share in their effects, as only one is changed at a time. Fields of one sequence, whose
 * lists are equally long, take their values together.
 */
export async function totalEffects(
  versions: Versions,
  columns: Columns,
  tasks: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, Map<string, number>>> {
  const effects = new Map(tasks.map((task) => [task, new Map<string, number>()]))
  const own = await shiftsOf(versions, columns, tasks)
  // Half a round apart, so that neighbours, which are of one request, differ.
  const other = (values: readonly FeatureValue[]) =>
    values.map((_, row) => values[(row + (values.length >> 1)) % values.length]!)
  for (const fields of new Set(groupsOf(versions).values())) {
    signal.throwIfAborted()
    const others = fields.map((field) => [field, other(columns[field]!)] as const)
    const changed = await shiftsOf(versions, { ...columns, ...Object.fromEntries(others) }, tasks)
    for (const task of tasks) {
      const effect = effectOf(own.get(task)!, changed.get(task)!)
      for (const field of fields) effects.get(task)!.set(field, effect)
    }
  }
  return effects
}

/** By field, the fields that take their values together with it. */
function groupsOf(versions: Versions): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  const sequences = new Map<string, string[]>()
  for (const { name, sequence } of versions.flatMap(({ fields }) => fields)) {
    const group = groups.get(name) ?? (sequence === undefined ? undefined : sequences.get(sequence)) ?? []
    if (!group.includes(name)) group.push(name)
    groups.set(name, group)
    if (sequence !== undefined) sequences.set(sequence, group)
  }
  return groups
}

function effectOf(own: Float64Array, changed: Float64Array): number {
  const spread = new Moments()
  let squares = 0
  for (const [row, shift] of own.entries()) {
    const difference = changed[row]! - shift
    if (!Number.isFinite(difference)) continue
    spread.add(shift)
    squares += difference ** 2
  }
  return spread.sum > 0 ? squares / (2 * spread.sum) : 0
}

/** A share of a changed winner's gap. */
export interface Blame {
  field: string
  /** How much of the gap goes where the new winner has the old winner's value; 1 is all of it. */
  share: number
}

/**
 * Fields that made a request's winner change, the largest share first: one at a time takes the old winner's value in
 * the new one's place.
 */
export async function blameFields(
  versions: Versions,
  { task, values, gap, candidate }: CollectedWinner,
): Promise<Blame[]> {
  const fields = Object.keys(values)
  const groups = groupsOf(versions)
  const rows = [[], ...fields.map((field) => groups.get(field) ?? [field])]
  const columns = Object.fromEntries(
    Object.entries(candidate).map(([name, now]) => [
      name,
      rows.map((taken) => (taken.includes(name) && name in values ? values[name]![0] : now)),
    ]),
  )
  const [own, ...changed] = (await shiftsOf(versions, columns, [task])).get(task)!
  return fields
    .map((field, i) => ({ field, share: (own! - changed[i]!) / gap }))
    .filter(({ share }) => Number.isFinite(share))
    .sort((a, b) => b.share - a.share)
}

/** Per task, of each row, by how much the logit of the first version exceeds that of the second. */
async function shiftsOf(
  versions: Versions,
  columns: Columns,
  tasks: readonly string[],
): Promise<Map<string, Float64Array>> {
  const [after, before] = await Promise.all(versions.map((version) => answersOf(version, columns, tasks)))
  return new Map(
    tasks.map((task) => {
      const [newer, older] = [after!.get(task)!, before!.get(task)!]
      return [task, newer.map((probability, row) => logit(probability) - logit(older[row]!))]
    }),
  )
}

async function answersOf(
  predictor: Predictor,
  columns: Columns,
  tasks: readonly string[],
): Promise<Map<string, Float64Array>> {
  const rows = Object.values(columns)[0]?.length ?? 0
  const answers = new Map(tasks.map((task) => [task, new Float64Array(rows)]))
  for (let start = 0; start < rows; start += predictor.mostRows) {
    const part = predictor.fields.map(({ name }) => [name, columns[name]!.slice(start, start + predictor.mostRows)])
    const { tasks: found } = await predictor.predict(Object.fromEntries(part))
    for (const [task, all] of answers) all.set(found[task]!, start)
  }
  return answers
}

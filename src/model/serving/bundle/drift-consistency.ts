import { repeatedIndexes } from '../../../base/arrays.ts'
import { isDense } from '../../../schemas/features.ts'
import type { Distribution, Manifest } from '../../../schemas/manifest.ts'
import { crossedProblems } from '../features/crossed.ts'
import { layoutOf } from '../features/layout.ts'
import { tableProblems } from '../features/table.ts'

/** Largest difference of the sum of shares from 1: they are rounded. */
const rounding = 0.01

/** The ids of a field in its tensor: first, and first beyond. */
interface IdRange {
  first: number
  end: number
}

/** Contradictions of a drift reference with itself and the manifest; each begins with a JSON pointer. */
export function driftProblems(manifest: Manifest): string[] {
  const { drift, features, tasks, derived } = manifest
  if (drift === undefined) return []
  const ranges = idRanges(manifest)
  const fieldOf = (name: string) => features.find((field) => field.name === name)
  const problems: string[] = []
  for (const [name, distribution] of Object.entries(drift.features)) {
    const path = `/drift/features/${name}`
    const field = fieldOf(name)
    if (field?.kind === 'vector') problems.push(`${path} is of a vector, whose numbers are not watched: remove it`)
    else {
      const fits = field !== undefined && isDense(field) === 'edges' in distribution
      problems.push(...distributionProblems(path, distribution, field !== undefined, fits, ranges.get(name)))
    }
  }
  for (const [name, distribution] of Object.entries(drift.lengths ?? {})) {
    const path = `/drift/lengths/${name}`
    const field = fieldOf(name)
    if (field !== undefined && !('list' in field && field.list !== undefined))
      problems.push(`${path} is of a field that is no list`)
    else {
      problems.push(...distributionProblems(path, distribution, field !== undefined, 'edges' in distribution))
      if ('edges' in distribution && distribution.edges[0]! < 0)
        problems.push(`${path}/edges/0 is ${distribution.edges[0]}, but no length is below 0`)
    }
  }
  for (const [name, distribution] of Object.entries(drift.tasks)) {
    const known = [...tasks, ...derived].some((task) => task.name === name)
    problems.push(...distributionProblems(`/drift/tasks/${name}`, distribution, known, 'edges' in distribution))
  }
  return problems
}

function distributionProblems(
  path: string,
  distribution: Distribution,
  known: boolean,
  fits: boolean,
  range?: IdRange,
): string[] {
  const bins = 'ids' in distribution ? distribution.ids : distribution.edges
  const { shares } = distribution
  const problems: string[] = []
  if (!known) problems.push(`${path} matches no field or task of that name: rename it, too, or remove it`)
  else if (!fits) problems.push(`${path} has ${'ids' in distribution ? 'ids' : 'edges'}, which do not fit it`)
  const sum = shares.reduce((sum, share) => sum + share, 0)
  if (shares.length !== bins.length + 1) problems.push(`${path}/shares must have one more value than there are bins`)
  else if (Math.abs(sum - 1) > rounding) problems.push(`${path}/shares add up to ${Number(sum.toFixed(6))}, not 1`)
  if ('edges' in distribution) {
    if (!bins.every((edge, i) => i === 0 || edge > bins[i - 1]!)) problems.push(`${path}/edges must ascend`)
    return problems
  }
  for (const i of repeatedIndexes(bins)) problems.push(`${path}/ids/${i} is ${bins[i]}, which is there twice`)
  if (range === undefined || !fits) return problems
  const { first, end } = range
  bins.forEach((id, i) => {
    if (id < first || id >= end)
      problems.push(`${path}/ids/${i} is ${id}, but the field has the ids from ${first} to ${end - 1}`)
  })
  return problems
}

/** By field; none where the fields contradict each other, which is a problem of its own. */
function idRanges(manifest: Manifest): Map<string, IdRange> {
  const { features, crossed = [] } = manifest
  if (tableProblems(features).length + crossedProblems(crossed, features).length > 0) return new Map()
  const { slots, sparse } = layoutOf(manifest)
  return new Map(
    slots.flatMap(({ name, sparse: hasIds, column }) => {
      if (!hasIds) return []
      const { offset, ids } = sparse[column]!
      return [[name, { first: offset, end: offset + ids }] as const]
    }),
  )
}

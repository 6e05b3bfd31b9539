import type { GateUse } from '../schemas/evaluation.ts'
import type { SampledGates } from './score-rows.ts'
import type { Slicing } from './slices.ts'

/** Slices shown, the largest ones, and rows of the sample that each must have. */
const mostSlices = 24
const leastRows = 50

/** Mean weights of the experts per task, over all sampled rows and by slice. */
export function describeGates({ positions, weights }: SampledGates, slicings: readonly Slicing[]): GateUse {
  const tasks = Object.keys(weights)
  const all = Array.from(positions, (_, i) => i)
  const parts = slicings
    .flatMap(({ field, of, slices }) => {
      const members = slices.map((): number[] => [])
      positions.forEach((position, i) => {
        members[of[position]!]!.push(i)
      })
      return slices.map(({ value }, slice) => ({ field, value, rows: members[slice]! }))
    })
    .filter(({ rows }) => rows.length >= leastRows)
    .sort((a, b) => b.rows.length - a.rows.length)
    .slice(0, mostSlices)
  return {
    experts: weights[tasks[0]!]![0]!.length,
    rows: positions.length,
    tasks: tasks.map((task) => ({ task, weights: meanOf(weights[task]!, all) })),
    slices: parts.flatMap(({ field, value, rows }) =>
      tasks.map((task) => ({ field, value, task, rows: rows.length, weights: meanOf(weights[task]!, rows) })),
    ),
  }
}

function meanOf(weights: readonly ArrayLike<number>[], rows: readonly number[]): number[] {
  const experts = weights[0]!.length
  return Array.from({ length: experts }, (_, expert) => {
    const sum = rows.reduce((total, row) => total + weights[row]![expert]!, 0)
    return Number((sum / rows.length).toPrecision(6))
  })
}

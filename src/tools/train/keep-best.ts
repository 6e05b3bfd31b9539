import { type Selection, significantlyWorse, type Validation } from './selection.ts'
import type { TrainingState } from './threads/trainer.ts'

/** Weights that training may go back to: parameters and statistics, and the values of tables. */
export interface KeptWeights {
  weights: Float32Array
  tables: Float32Array[]
}

/** The places of a task's own network among the weights, and its tables by index. */
export interface OwnPlaces {
  places: { offset: number; size: number }[]
  tables: number[]
}

/** The best epoch so far, of all tasks or of one. */
export interface Best {
  epoch: number
  value: number
  /** Epochs since, as `patience` counts them. */
  waited: number
}

/** `tasks`: where each task has a network of its own, and so an epoch of its own. */
export type KeptEpoch = Best & { tasks?: Best[] }

/**
 * Cost of an epoch that is not surely worse than the best one; one that is costs 1. So noise alone ends no training
 * soon, and none that learns nothing more goes on for long.
 */
const undecided = 1 / 3

export interface Keeper {
  readonly best: Best
  /** Whether this epoch is the best so far. */
  consider(epoch: number, validation: Validation): boolean
}

/** Finds the best epoch of one task, or of all together where `task` is undefined. */
export function createKeeper(
  { higherIsBetter, value, paired }: Selection,
  task: number | undefined,
  resumed: { best: Best; validation: Validation } | undefined,
): Keeper {
  const sign = higherIsBetter ? -1 : 1
  let best: Best = resumed?.best ?? { epoch: 0, value: sign * Number.POSITIVE_INFINITY, waited: 0 }
  let judged = resumed?.validation
  const measure = (validation: Validation) => {
    if (!Number.isFinite(validation.loss)) return Number.NaN
    return task === undefined ? value(validation) : (validation.normalised_entropy[task] ?? validation.loss)
  }
  return {
    get best() {
      return best
    },
    consider(epoch, validation) {
      const reached = measure(validation)
      if (sign * reached < sign * best.value) {
        best = { epoch, value: reached, waited: 0 }
        judged = validation
        return true
      }
      const isSure = !paired || !judged || !Number.isFinite(reached) || significantlyWorse(validation, judged, task)
      best = { ...best, waited: best.waited + (isSure ? 1 : undecided) }
      return false
    },
  }
}

/** The weights that are kept, and the epochs that they are of. */
export interface Keeping {
  readonly best: KeptEpoch
  readonly kept: KeptWeights | undefined
  /** Whether weights of this epoch are kept. */
  consider(epoch: number, validation: Validation, state: TrainingState): boolean
}

/** `own`: the places of each task, where they share none; then each has its own best epoch. */
export function createKeeping(
  selection: Selection,
  own: readonly OwnPlaces[] | undefined,
  resumed: { best: KeptEpoch; kept: KeptWeights; validation: Validation } | undefined,
): Keeping {
  const apart = selection.paired ? own : undefined
  const keepers = (apart ?? [undefined]).map((_, task) => {
    const best = apart ? resumed?.best.tasks?.[task] : resumed?.best
    const known = best && resumed && { best, validation: resumed.validation }
    return createKeeper(selection, apart && task, known)
  })
  let best: KeptEpoch = resumed?.best ?? keepers[0]!.best
  let kept = resumed?.kept
  return {
    get best() {
      return best
    },
    get kept() {
      return kept
    },
    consider(epoch, validation, state) {
      const better = keepers.map((keeper) => keeper.consider(epoch, validation))
      const isBest = better.includes(true)
      if (isBest && apart && kept) {
        const changed = apart.filter((_, task) => better[task])
        kept = withOwn(kept, state, changed)
      } else if (isBest) kept = keptOf(state)
      const all = keepers.map((keeper) => keeper.best)
      best = apart ? together(all, validation, selection) : all[0]!
      return isBest
    },
  }
}

/** The tasks' best epochs as one: the last of them, and the metric of all. */
function together(tasks: Best[], validation: Validation, { value }: Selection): KeptEpoch {
  const entropies = tasks.map((task) => (task.epoch === 0 ? null : task.value))
  return {
    epoch: Math.max(...tasks.map(({ epoch }) => epoch)),
    value: value({ ...validation, normalised_entropy: entropies }),
    waited: Math.min(...tasks.map(({ waited }) => waited)),
    tasks,
  }
}

function keptOf({ weights, tables }: TrainingState): KeptWeights {
  return { weights: weights.slice(), tables: tables.map(({ values }) => Float32Array.from(values)) }
}

/** The kept weights, with those of some tasks' own networks from `state`. */
function withOwn(kept: KeptWeights, state: TrainingState, own: readonly OwnPlaces[]): KeptWeights {
  for (const { places, tables } of own) {
    for (const { offset, size } of places) kept.weights.set(state.weights.subarray(offset, offset + size), offset)
    for (const table of tables) kept.tables[table]!.set(state.tables[table]!.values)
  }
  return kept
}

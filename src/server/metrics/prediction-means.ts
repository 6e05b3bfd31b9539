import { Gauge, type Registry } from 'prom-client'
import type { PredictionTable } from '../../model/contracts/prediction.ts'
import type { LoadedModel } from '../../model/prediction/contract.ts'

/** Rows after which an old prediction counts for little in the running mean. */
const memory = 10_000

/** The running mean of each task's calibrated predictions. */
export interface PredictionMeans {
  add(model: LoadedModel, table: PredictionTable): void
  forget(model: string, version: string): void
}

interface Mean {
  labels: { model: string; version: string; task: string }
  /** That it is the mean of. */
  rows: number
  mean: number
}

export function registerPredictionMeans(registry: Registry): PredictionMeans {
  let means: Mean[] = []
  // A version that answers its last requests after it was forgotten must not come back.
  const known = new WeakMap<LoadedModel, Map<string, Mean>>()
  function meansOf(model: LoadedModel): Map<string, Mean> {
    let found = known.get(model)
    if (found === undefined) {
      const { name, version, tasks, derived } = model.manifest
      const own = [...tasks, ...derived].map((task): Mean => {
        return { labels: { model: name, version, task: task.name }, rows: 0, mean: 0 }
      })
      means.push(...own)
      found = new Map(own.map((mean) => [mean.labels.task, mean]))
      known.set(model, found)
    }
    return found
  }
  new Gauge({
    name: 'multigate_prediction_mean',
    help: `Running mean of calibrated predictions, over about the last ${memory} rows`,
    labelNames: ['model', 'version', 'task'],
    registers: [registry],
    aggregator: 'average',
    collect() {
      this.reset()
      for (const { labels, rows, mean } of means) if (rows > 0) this.set(labels, mean)
    },
  })
  return {
    add(model, { tasks }) {
      const own = meansOf(model)
      for (const [task, values] of tasks) {
        if (values.length === 0) continue
        const state = own.get(task)!
        state.rows = Math.min(state.rows + values.length, Math.max(memory, values.length))
        let sum = 0
        for (let i = 0; i < values.length; i++) sum += values[i]!
        state.mean += (sum / values.length - state.mean) * (values.length / state.rows)
      }
    },
    forget(model, version) {
      means = means.filter(({ labels }) => labels.model !== model || labels.version !== version)
    },
  }
}

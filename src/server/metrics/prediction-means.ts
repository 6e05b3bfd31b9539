import { Gauge, type Registry } from 'prom-client'
import type { PredictionTable } from '../../model/contracts/prediction.ts'

/** Rows after which an old prediction counts for little in the running mean. */
const memory = 10_000

/** The running mean of each task's calibrated predictions. */
export interface PredictionMeans {
  add(model: string, version: string, table: PredictionTable): void
  forget(model: string, version: string): void
}

export function registerPredictionMeans(registry: Registry): PredictionMeans {
  const means = new Map<string, { labels: Record<string, string>; rows: number; mean: number }>()
  new Gauge({
    name: 'multigate_prediction_mean',
    help: `Running mean of calibrated predictions, over about the last ${memory} rows`,
    labelNames: ['model', 'version', 'task'],
    registers: [registry],
    aggregator: 'average',
    collect() {
      this.reset()
      for (const { labels, mean } of means.values()) this.set(labels, mean)
    },
  })
  return {
    add(model, version, { tasks }) {
      for (const [task, values] of tasks) {
        if (values.length === 0) continue
        const key = `${model}/${version}/${task}`
        const state = means.get(key) ?? { labels: { model, version, task }, rows: 0, mean: 0 }
        state.rows = Math.min(state.rows + values.length, Math.max(memory, values.length))
        let sum = 0
        for (const value of values) sum += value
        state.mean += (sum / values.length - state.mean) * (values.length / state.rows)
        means.set(key, state)
      }
    },
    forget(model, version) {
      for (const key of means.keys()) if (key.startsWith(`${model}/${version}/`)) means.delete(key)
    },
  }
}

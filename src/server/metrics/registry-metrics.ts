import { Gauge, type Registry } from 'prom-client'
import { modelStates, type RegistrySummary } from '../../model/serving/registry/summary.ts'

/** The registry's summary of its models; asked for at every scrape. */
export interface RegistrySources {
  summary?: (() => RegistrySummary) | undefined
}

/**
 * Models by state, versions that failed, are incompatible or scheduled, models that vanished, and whether the folder
 * can be read. Series go with the versions that they are of.
 */
export function registerRegistryMetrics(registry: Registry, { summary }: RegistrySources): void {
  if (summary === undefined) return
  const registers = [registry]
  // Every process has the same models: what one of them can't do is what counts.
  const aggregator = 'max'
  new Gauge({
    name: 'multigate_models',
    help: 'Models in the folder, by state',
    labelNames: ['state'],
    registers,
    aggregator,
    collect() {
      const { states } = summary()
      for (const state of modelStates) this.set({ state }, states[state])
    },
  })
  new Gauge({
    name: 'multigate_version_failed',
    help: 'Versions in the folder that failed to load or were refused; always 1',
    labelNames: ['model', 'version', 'reason'],
    registers,
    aggregator,
    collect() {
      this.reset()
      for (const { name, version, reason } of summary().failed) this.set({ model: name, version, reason }, 1)
    },
  })
  new Gauge({
    name: 'multigate_version_incompatible',
    help: 'Versions that answer, and refuse requests that a lower version in the folder accepts which they replaced; always 1',
    labelNames: ['model', 'version'],
    registers,
    aggregator,
    collect() {
      this.reset()
      for (const { name, version } of summary().incompatible) this.set({ model: name, version }, 1)
    },
  })
  new Gauge({
    name: 'multigate_version_activation_timestamp_seconds',
    help: 'When a scheduled version takes effect, until it does',
    labelNames: ['model', 'version'],
    registers,
    aggregator,
    collect() {
      this.reset()
      for (const { name, version, activateAt } of summary().scheduled)
        this.set({ model: name, version }, activateAt / 1000)
    },
  })
  new Gauge({
    name: 'multigate_models_missing',
    help: 'Models that keep serving although they vanished from the folder together with most others',
    registers,
    aggregator,
    collect() {
      this.set(summary().missing)
    },
  })
  new Gauge({
    name: 'multigate_models_folder_unreadable',
    help: "1 while the models folder is missing or can't be read: loaded models keep serving, new versions are not found",
    registers,
    aggregator,
    collect() {
      this.set(Number(summary().unreadable !== undefined))
    },
  })
}

import type { Registry } from 'prom-client'
import { modelStates, type RegistrySummary } from '../../model/serving/registry/summary.ts'
import { createReadMetrics } from './read-metrics.ts'

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
  const { gauge } = createReadMetrics(registry)
  // Every process has the same models: what one of them can't do is what counts.
  const aggregator = 'max'
  gauge(
    'multigate_models',
    'Models in the folder, by state',
    () => {
      const { states } = summary()
      return modelStates.map((state) => [{ state }, states[state]])
    },
    aggregator,
  )
  gauge(
    'multigate_version_failed',
    'Versions in the folder that failed to load or were refused; always 1',
    () => summary().failed.map(({ name, version, reason }) => [{ model: name, version, reason }, 1]),
    aggregator,
  )
  gauge(
    'multigate_version_incompatible',
    'Versions that answer, and refuse requests that a lower version in the folder accepts which they replaced; always 1',
    () => summary().incompatible.map(({ name, version }) => [{ model: name, version }, 1]),
    aggregator,
  )
  gauge(
    'multigate_version_activation_timestamp_seconds',
    'When a scheduled version takes effect, until it does',
    () => summary().scheduled.map(({ name, version, activateAt }) => [{ model: name, version }, activateAt / 1000]),
    aggregator,
  )
  gauge(
    'multigate_models_missing',
    'Models that keep serving although they vanished from the folder together with most others',
    () => summary().missing,
    aggregator,
  )
  gauge(
    'multigate_models_folder_unreadable',
    "1 while the models folder is missing or can't be read: loaded models keep serving, new versions are not found",
    () => Number(summary().unreadable !== undefined),
    aggregator,
  )
}

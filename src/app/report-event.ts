import { reasonOf } from '../model/base/errors.ts'
import { listProblems } from '../model/prediction/compare-contracts.ts'
import type { RegistryEvent } from '../model/registry/registry.ts'
import type { Metrics } from '../server/metrics/metrics.ts'
import type { Log } from './load-options.ts'

/** Logs what became of a version; the metrics of one that is unloaded go with it. */
export function reportEvent(event: RegistryEvent, log: Log, metrics: Pick<Metrics, 'forget'>): void {
  switch (event.type) {
    case 'loaded': {
      const { name, version, model, seconds } = event
      const { engine, plan } = model
      const { precision, products } = plan
      const details = { engine, precision, ...(products && { products }), seconds: Number(seconds.toFixed(3)) }
      log.info({ model: name, version, ...details }, 'model loaded')
      return
    }
    case 'failed':
      log.error({ model: event.name, version: event.version, reason: reasonOf(event.error) }, 'model failed to load')
      return
    case 'incompatible': {
      const { name, version, incompatibility } = event
      const { with: previous, problems } = incompatibility
      const details = { model: name, version, previous, problems: listProblems(problems) }
      log.warn(details, 'another version answers that is incompatible')
      return
    }
    case 'unloaded':
      log.info({ model: event.name, version: event.version }, 'model unloaded')
      metrics
        .forget(event.name, event.version)
        .catch((error) => log.error({ err: error }, 'metrics of an unloaded model'))
      return
    case 'switched':
      log.info({ model: event.name, version: event.version, previous: event.from }, 'another version answers')
      return
    case 'problem':
      log.warn(event.message)
  }
}

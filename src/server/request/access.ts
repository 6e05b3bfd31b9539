import type { AccessMetrics } from '../metrics/access-metrics.ts'
import type { Guard } from '../security/guard.ts'

/** Keys and what is counted of them; a service without keys has none. */
export interface Access {
  guard: Guard
  metrics: AccessMetrics
}

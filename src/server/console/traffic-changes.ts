import type { LiveEvent, LiveModel } from '../../schemas/live-figures.ts'
import { clientFaults, failuresIn, mostFrequent, sumOf } from '../../schemas/outcomes.ts'
import type { Interval } from './summarise.ts'

/** From these shares on, requests that are refused or dropped under load, and requests that fail, are events. */
const shedShare = 0.01
const failingShare = 0.05

/** Fewer requests than these in an interval are none: a person tries something. */
const fewest = 10

/** Requests per second whose end is an event. */
const busyRate = 2

/** Finds what the traffic of each interval shows: overload, failures, silence. Call it once per interval. */
export function createTrafficChanges(): (interval: Interval) => Change[] {
  let earlier: number[] = []
  /** The rate before requests stopped, while they have. */
  let stoppedAt: number | undefined

  return ({ sample, models }) => {
    const { requests, shed, failed, seconds } = sample
    const isMuch = (rate: number, share: number) => rate > share * requests && rate * seconds >= fewest
    const changes: Change[] = []
    if (isMuch(sumOf(shed), shedShare)) {
      const mostly = mostlyOf(models, ({ shed }) => sumOf(shed))
      changes.push(error('requests_shed', `Requests are refused or dropped under load${mostly}`))
    }
    const failures = failuresIn(failed)
    const [[code] = []] = mostFrequent(failures)
    if (code !== undefined && isMuch(sumOf(failures), failingShare)) {
      const name = code.replaceAll('_', ' ')
      const text = `Many requests fail${mostlyOf(models, ({ failed }) => failed[code] ?? 0)}; the most frequent error: ${name}`
      changes.push(clientFaults.includes(code) ? warning('requests_failing', text) : error('requests_failing', text))
    }

    // They may have stopped within the interval before.
    const rate = Math.max(0, ...earlier)
    if (requests > 0 && stoppedAt !== undefined) changes.push(info('requests_arrive', 'Requests arrive again'))
    if (requests > 0) stoppedAt = undefined
    else if (rate >= busyRate) stoppedAt ??= rate
    earlier = [requests, ...earlier].slice(0, 2)
    if (stoppedAt !== undefined)
      changes.push(error('requests_stopped', `No requests arrive any more; before, ${stoppedAt.toFixed(0)} per second`))
    return changes
  }
}

/** The model with most of them; nothing where no model had any, as of requests that were refused unread. */
function mostlyOf(models: readonly LiveModel[], read: (model: LiveModel) => number): string {
  const [first] = models.filter((model) => read(model) > 0).sort((a, b) => read(b) - read(a))
  return first === undefined ? '' : `, mostly for ${first.model}`
}

/** An event without its times. */
export type Change = Pick<LiveEvent, 'kind' | 'severity' | 'text' | 'model' | 'by'>

export const info = (kind: Change['kind'], text: string): Change => ({ kind, severity: 'info', text })
export const warning = (kind: Change['kind'], text: string): Change => ({ kind, severity: 'warning', text })
export const error = (kind: Change['kind'], text: string): Change => ({ kind, severity: 'error', text })

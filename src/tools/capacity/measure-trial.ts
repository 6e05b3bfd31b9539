import { ModelError } from '../../base/errors.ts'
import type { Features } from '../../schemas/features.ts'
import { createPredictRequests } from '../load/predict-requests.ts'
import type { TableKeys } from '../load/table-keys.ts'
import type { Placement } from './cores.ts'
import { type Load, LoadRuns, noneIfRejected, type Step, seed } from './load-runs.ts'
import { startMeasuredServer } from './measured-server.ts'
import { type Trial, type TunedSettings, toVariables } from './tuned-settings.ts'

export interface MeasuredTrial extends Trial {
  /** At the rate that all settings are compared at: latency, ms, and processor time per request, µs. */
  p50: number
  p99: number
  processor: number
  /** Cores that other programs used meanwhile. */
  otherCores: number
  /** The load's steps: latency by rate. */
  steps: Step[]
}

/** `seconds`: length of a trial's rising load. */
export interface TrialOptions extends Load {
  features: Features
  keys: readonly TableKeys[] | undefined
  p99Ms: number
  placement: Placement
  signal: AbortSignal
}

/** Share of the requests that must be answered within the bound. */
const share = 0.99
/** Steps of the load, as multiples of the maximum of the settings at the start: in ratios of 1.08, from 0.5 to 1.6. */
const steps = Array.from({ length: 16 }, (_, i) => 1.08 ** (i - 9))
/** Fewest requests of a step: a share of fewer means little. */
const fewestRequests = 50
/** Steps of the first, short look. */
const look = [4, 8, 10]
/** Factors for a maximum that proves too high or too low for the bound, and how often it is changed. */
const [lower, higher, mostChanges] = [0.5, 1.5, 4]
/**
 * Rate at which latencies and processor times are compared, as a share of that maximum, and part of a trial's time for
 * it.
 */
const comparedAt = 0.5
const comparedShare = 0.4

/** Starts servers with settings and measures their goodput. */
export class TrialRunner {
  readonly #options: TrialOptions
  /** Requests per second that the first settings answer at most. */
  #maximum: number | undefined

  constructor(options: TrialOptions) {
    this.#options = options
  }

  /**
   * The trial of the settings at the start, which sets the rates of all others. Throws INVALID_REQUEST where no rate
   * keeps the bound.
   */
  #first(settings: TunedSettings): Promise<MeasuredTrial> {
    return this.#within(settings, async (load) => {
      for (let changes = 0; ; changes++) {
        const measured = await this.#steps(load)
        const goodput = fastest(measured)
        const factor = goodput === 0 ? lower : goodput === measured.at(-1)!.rate ? higher : 1
        if (factor === 1 || (goodput > 0 && changes === mostChanges))
          return { settings, goodput, stopped: false, ...(await this.#compare(load)), steps: measured }
        if (changes === mostChanges) throw infeasible(this.#options.p99Ms, measured)
        this.#maximum = this.#maximum! * factor
      }
    })
  }

  /** In a new server: a short look, and unless that is hopeless a whole trial. */
  async measure(settings: TunedSettings, needed: number): Promise<MeasuredTrial> {
    if (this.#maximum === undefined) return this.#first(settings)
    return this.#within(settings, async (load) => {
      const glance = needed > 0 ? await this.#steps(load, look) : undefined
      // Where the last step holds, more load would too.
      const stopped = glance !== undefined && fastest(glance) < needed && !holds(glance.at(-1)!)
      const measured = stopped ? glance : await this.#steps(load)
      return { settings, goodput: fastest(measured), stopped, ...(await this.#compare(load)), steps: measured }
    })
  }

  /** Goodput of both settings in turns, in one server each. */
  async compare(
    before: TunedSettings,
    after: TunedSettings,
    rounds: number,
    progress: (round: number) => void,
  ): Promise<{ before: number[]; after: number[] }> {
    const goodputs = { before: [] as number[], after: [] as number[] }
    await this.#within(before, (first) =>
      this.#within(after, async (second) => {
        for (let round = 1; round <= rounds; round++) {
          progress(round)
          goodputs.before.push(fastest(await this.#steps(first)))
          goodputs.after.push(fastest(await this.#steps(second)))
        }
      }),
    )
    return goodputs
  }

  /** Runs `work` with a warm server with these settings; the first one sets the rates. */
  async #within<T>(settings: TunedSettings, work: (load: LoadRuns) => Promise<T>): Promise<T> {
    const { models, model, placement, p99Ms, seconds } = this.#options
    const server = await startMeasuredServer({
      models,
      model,
      // Requests that would be late are shed, as they should be in service.
      settings: { ...toVariables(settings), MULTIGATE_DEADLINE_MS: String(p99Ms) },
      wrapper: placement.wrapper,
    })
    try {
      const requests = createPredictRequests({ ...this.#options, seed })
      return await LoadRuns.within(server, requests, this.#options, async (load) => {
        this.#maximum ??= (await load.closed(Math.min(1, seconds)).catch(noneIfRejected))?.rate ?? 0
        if (this.#maximum === 0) throw infeasible(p99Ms, [])
        return work(load)
      })
    } finally {
      await server.stop()
    }
  }

  /** Load at some of the steps; each takes its part of a trial's time, or longer for the fewest requests. */
  #steps(load: LoadRuns, which: Iterable<number> = steps.keys()): Promise<Step[]> {
    const rates = Array.from(which, (step) => steps[step]! * this.#maximum!)
    const { seconds, p99Ms } = this.#options
    const wanted = Math.max(seconds / steps.length, fewestRequests / rates[0]!)
    return load.steps(rates, Math.min(seconds, wanted), p99Ms)
  }

  async #compare(load: LoadRuns): Promise<Pick<MeasuredTrial, 'p50' | 'p99' | 'processor' | 'otherCores'>> {
    const { seconds, p99Ms } = this.#options
    const run = await load.open(comparedAt * this.#maximum!, seconds * comparedShare, p99Ms)
    const { p50, p99 } = run.result.latency
    return { p50, p99, processor: run.processorSeconds * 1e6, otherCores: run.otherCores }
  }
}

function infeasible(p99Ms: number, measured: readonly Step[]): ModelError {
  const answered = measured.filter(({ p99 }) => !Number.isNaN(p99)).sort((a, b) => a.p99 - b.p99)
  const lowest = answered.map(
    ({ rate, p99 }) => `; the lowest is ${p99.toFixed(2)} ms, at ${Math.round(rate)} requests/s`,
  )[0]
  const reason = `not feasible with the current settings at any measured rate${lowest ?? ''}`
  return new ModelError('INVALID_REQUEST', `--p99 ${p99Ms}: ${reason}`)
}

/** The highest rate of a step at which enough requests were answered in time; 0 if there is none. */
export function fastest(measured: readonly Step[]): number {
  const held = measured.filter(holds).map(({ rate }) => rate)
  return Math.max(0, ...held)
}

function holds({ good, scheduled }: Step): boolean {
  return scheduled > 0 && good >= share * scheduled
}

import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Log } from '../experiment.ts'
import { generate, outcomesOf } from '../generator.ts'
import { withHitRate } from '../multigate.ts'
import type { ComparisonArguments } from './arguments.ts'
import { type AloneTimes, timeAlone } from './ceiling.ts'
import { type Answers, ask, checkAnswers, createReference, servedPrecision, urlOf } from './check.ts'
import type { ClosedLoop } from './closed-loop.ts'
import { forms } from './forms.ts'
import { type ModelFiles, modelsIn, prepareModel, referenceModels } from './models.ts'
import type { Cell, Session } from './plan.ts'
import { withProcessorTime } from './processor-time.ts'
import type { Requests } from './requests.ts'
import { bestOf, type CellResult, type Differences } from './results.ts'
import { meanRows } from './scenarios.ts'
import { type RunningServer, type ServerKind, servers, startServer } from './servers.ts'

/** Fixed, so that two runs send the same requests at the same times. */
export const seed = 7
/** Most connections of the open loop. */
export const openConnections = 1024
/** Longest wait of the open loop for the last answers, ms. */
const graceMs = 1000
/** Pause between two open-loop runs, in which the server's queues drain, ms. */
const pauseMs = 1000
/** Warm-up before each cell, for just-in-time compilers. */
const warmUpSeconds = { short: 1, full: 3 }
/** Time of each of the two measurements of the engine alone, s. */
const aloneSeconds = 1
/** If others use more of the cores, a run is repeated, up to this number of runs; the quietest counts. */
const quietCores = 0.15
const attempts = 3
/**
 * Most requests per second that the open-loop generator sends in time, with three quarters of a core: 3.5 ms late (p99)
 * with a server that does nothing. Higher rates would measure the generator.
 */
export const mostRequestsPerSecond = 40_000

export type Measure = (cell: Cell, server: RunningServer) => Promise<void>

interface BenchParts {
  folder: string
  requests: Requests
  closedLoop: ClosedLoop
  date: string
  log: Log
}

/** Starts, checks and measures servers, and collects the results. */
export class Bench {
  /** Largest difference of an answer from the reference, by precision. */
  readonly differences: Differences = {}
  readonly #options: ComparisonArguments
  readonly #parts: BenchParts
  readonly #models = new Map<string, { files: ModelFiles; answers: Answers }>()
  readonly #results = new Map<string, CellResult>()
  readonly #aloneTimes = new Map<string, AloneTimes>()
  #sent = 0
  #started = 0

  constructor(options: ComparisonArguments, parts: BenchParts) {
    this.#options = options
    this.#parts = parts
  }

  get results(): CellResult[] {
    return [...this.#results.values()]
  }

  /** Each cell in a new process: checked, warmed up, measured. */
  async run(session: Session, measure: Measure): Promise<void> {
    const { files, answers } = await this.#model(session.model)
    const kind: ServerKind = servers[session.server]
    const model = referenceModels[session.model]
    const first = session.cells[0]!
    const [probe] = this.#parts.requests.sample(first)
    const server = await startServer(
      kind,
      {
        model,
        files,
        setup: session.setup,
        python: this.#options.python,
        folder: join(this.#parts.folder, `server-${this.#started++}`),
        plans: join(this.#options.cache, 'plans'),
      },
      async (base) => {
        await ask(urlOf(base, kind, first.form, model), forms[first.form], probe!, model)
        return true
      },
    )
    try {
      const precision = kind.precision && (await servedPrecision(server, model, kind.precision))
      for (const cell of session.cells) {
        const difference = await checkAnswers(
          server,
          kind,
          cell.form,
          model,
          this.#parts.requests.sample(cell),
          answers,
        )
        const computed = precision ?? 'float32'
        this.differences[computed] = Math.max(this.differences[computed] ?? 0, difference)
        if (precision !== undefined) (await this.#result(cell)).precision = precision
        await this.#closed(cell, server, 32, warmUpSeconds[this.#options.short ? 'short' : 'full'])
        await measure(cell, server)
      }
    } finally {
      await server.stop()
    }
  }

  async measureClosed(cell: Cell, server: RunningServer, repeat: number): Promise<void> {
    const result = await this.#result(cell)
    const alone = await this.#alone(cell, repeat)
    if (alone) result.alone = [...(result.alone ?? []), alone]
    const caches = servers[cell.server].candidates.some((kind) => kind === 'seen')
    for (const connections of this.#options.connections) {
      const measure = () => this.#quietest(() => this.#closed(cell, server, connections, this.#options.duration))
      const { hitRate = 0, ...run } = caches
        ? await withHitRate(server.base, measure)
        : { ...(await measure()), hitRate: undefined }
      result.closed.push({ connections, ...run, ...(caches && { known: hitRate }) })
      this.#parts.log(
        `${nameOf(cell)}  ${repeat + 1}/${this.#options.repeats}  ${connections} connections  ${Math.round(run.requestsPerSecond)} req/s, p50 ${run.p50.toFixed(2)}, p99 ${run.p99.toFixed(2)} ms${run.errors > 0 ? `, ${run.errors} ERRORS` : ''}`,
      )
    }
  }

  /** The times of our engine alone, once in a repeat for all forms; the server has nothing to do meanwhile. */
  async #alone({ server, scenario, candidates }: Cell, repeat: number): Promise<AloneTimes | undefined> {
    const kind: ServerKind = servers[server]
    const rows = Math.round(meanRows(scenario))
    if (!kind.deadlines || rows === 1 || this.#options.short) return undefined
    const { files } = await this.#model(scenario.model)
    const models = modelsIn(files, kind.precision)
    const key = [models, rows, candidates, repeat].join()
    const known = this.#aloneTimes.get(key)
    if (known) return known
    const { cache } = this.#options
    const { name } = referenceModels[scenario.model]
    const times = await timeAlone({
      ...{ models, name, cache: join(cache, 'plans'), rows },
      ...{ candidates, seconds: aloneSeconds },
    })
    this.#aloneTimes.set(key, times)
    return times
  }

  async measureOpen(cell: Cell, server: RunningServer): Promise<void> {
    const result = await this.#result(cell)
    for (const load of this.#options.loads) {
      const rate = load * bestOf(result).requestsPerSecond
      if (rate > mostRequestsPerSecond) {
        this.#parts.log(`${nameOf(cell)}  ${load}×  ${Math.round(rate)} req/s: more than the generator can send`)
        continue
      }
      const run = await this.#quietest(() => this.#open(cell, server, rate))
      result.open.push({ load, ...run })
      this.#parts.log(
        `${nameOf(cell)}  ${load}×  ${Math.round(rate)} req/s: ${outcomesOf(run)}; generator late by ${run.lateness.p99.toFixed(1)} ms (p99), ${run.generatorCores.toFixed(2)} cores`,
      )
    }
  }

  async #open(cell: Cell, server: RunningServer, rate: number) {
    const { deadline: deadlineMs, openDuration: seconds } = this.#options
    const kind: ServerKind = servers[cell.server]
    const { file } = await this.#parts.requests.file(cell)
    const run = await withProcessorTime(server.group, () =>
      generate({
        url: urlOf(server.base, kind, cell.form, referenceModels[cell.scenario.model]).href,
        headers: kind.deadlines ? { 'x-deadline-ms': String(deadlineMs) } : {},
        file,
        start: this.#next(rate * seconds),
        rate,
        seconds,
        seed,
        deadlineMs,
        graceMs,
        connections: openConnections,
      }),
    )
    await setTimeout(pauseMs)
    return { rate, seconds, ...run }
  }

  async #closed(cell: Cell, server: RunningServer, connections: number, seconds: number) {
    const { file } = await this.#parts.requests.file(cell)
    const url = urlOf(server.base, servers[cell.server], cell.form, referenceModels[cell.scenario.model])
    const run = await this.#parts.closedLoop.run({
      url,
      group: server.group,
      file,
      start: this.#sent,
      connections,
      seconds,
    })
    this.#next(run.requestsPerSecond * seconds)
    return run
  }

  async #quietest<T extends { otherCores: number }>(measure: () => Promise<T>): Promise<T> {
    let best = await measure()
    // The short form does not wait for a quiet machine.
    for (let i = 1; i < attempts && best.otherCores > quietCores && !this.#options.short; i++) {
      const again = await measure()
      if (again.otherCores < best.otherCores) best = again
    }
    return best
  }

  /**
   * First request of the next run: runs continue where the last one ended, so that candidates recur as late as
   * possible.
   */
  #next(requests: number): number {
    const start = this.#sent
    this.#sent += Math.ceil(requests)
    return start
  }

  async #model(name: Cell['scenario']['model']) {
    const known = this.#models.get(name)
    if (known) return known
    const model = referenceModels[name]
    const files = await prepareModel(model, this.#options.cache)
    const made = { files, answers: await createReference(files.onnx, model) }
    this.#models.set(name, made)
    return made
  }

  async #result(cell: Cell): Promise<CellResult> {
    const key = nameOf(cell)
    const known = this.#results.get(key)
    if (known) return known
    const { meanBytes, count } = await this.#parts.requests.file(cell)
    const { server, form, candidates } = cell
    const { workers, batch } = servers[server].setup(cell.scenario)
    const made: CellResult = {
      server,
      scenario: cell.scenario.name,
      form,
      candidates,
      date: this.#parts.date,
      workers,
      batch,
      bodyBytes: meanBytes,
      distinct: count,
      closed: [],
      open: [],
    }
    this.#results.set(key, made)
    return made
  }
}

function nameOf({ server, scenario, form, candidates }: Cell): string {
  return `${scenario.name}  ${server.padEnd(9)}  ${form.padEnd(7)}  ${candidates.padEnd(4)}`
}

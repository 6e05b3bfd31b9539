import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { reasonOf } from '../../src/model/errors.ts'
import { generate } from '../generator.ts'
import type { Machine } from '../machine.ts'
import type { PeersArguments } from './arguments.ts'
import { type Answers, ask, checkAnswers, createReference, urlOf } from './check.ts'
import { type ClosedLoop, createClosedLoop } from './closed-loop.ts'
import { forms } from './forms.ts'
import { type ModelFiles, prepareModel, referenceModels } from './models.ts'
import { type Cell, planCells, planSessions, type Session } from './plan.ts'
import { pinnedVersions, preparePython } from './python-peers.ts'
import { createRequests, type Requests } from './requests.ts'
import { bestOf, type CellResult, type PeersReport } from './results.ts'
import { scenarios } from './scenarios.ts'
import { type RunningServer, type ServerKind, type ServerName, servers, startServer } from './servers.ts'

/** Fixed, so that two runs send the same requests at the same times. */
const seed = 7
/** Most connections of the open loop, and how long it waits for the last answers, ms. */
const openLoop = { connections: 1024, graceMs: 1000 }
/** Between two open-loop runs, so that what the server still has in its queues is not the next one's, ms. */
const pauseMs = 1000
const warmUpSeconds = 1
/**
 * Requests per second that the open-loop generator still sends in time, at three quarters of a core: late by 3.5 ms (p99)
 * against a server that does nothing. What is more would measure the generator.
 */
const mostRequestsPerSecond = 40_000

type Log = (line: string) => void
type Measure = (cell: Cell, server: RunningServer) => Promise<void>

export async function runPeers(options: PeersArguments, machine: Machine, log: Log): Promise<PeersReport> {
  await mkdir(options.cache, { recursive: true })
  const wanted = options.servers.filter((name) => servers[name].python)
  const missing = await preparePython(wanted, options.python)
  for (const [name, reason] of missing) log(`${name} is left out: ${reason}`)
  const names = options.servers.filter((name) => !missing.has(name))
  const chosen = scenarios.filter(({ name }) => options.scenarios.includes(name))
  const folder = await mkdtemp(join(options.cache, 'run-'))
  try {
    const closedLoop = createClosedLoop()
    const requests = createRequests(join(folder, 'requests'), seed, options.short ? 4 : 1)
    const bench = new Bench(options, folder, requests, closedLoop, log)
    const cells = planCells(names, chosen)
    log(`${cells.length} cells; closed loop by ${closedLoop.generator}`)
    const runAll = async (sessions: Session[], measure: Measure) => {
      for (const session of sessions) {
        if (missing.has(session.server)) continue
        try {
          await bench.run(session, measure)
        } catch (error) {
          // One that comes with this project has to work.
          if (!servers[session.server].python) throw error
          missing.set(session.server, `it failed: ${reasonOf(error)}`)
          log(`${session.server} is left out: ${reasonOf(error)}`)
        }
      }
    }
    for (let repeat = 0; repeat < options.repeats; repeat++)
      await runAll(planSessions(cells, repeat), (cell, server) => bench.measureClosed(cell, server, repeat))
    const open = cells.filter(
      ({ form, candidates, scenario }) =>
        options.openScenarios.includes(scenario.name) &&
        (!options.short || (form === 'tensors' && candidates === 'new')),
    )
    if (options.openDuration > 0) await runAll(planSessions(open, 0), (cell, server) => bench.measureOpen(cell, server))
    return {
      machine,
      method: {
        short: options.short,
        generator: closedLoop.generator,
        seconds: options.duration,
        repeats: options.repeats,
        connections: options.connections,
        openSeconds: options.openDuration,
        openConnections: openLoop.connections,
        deadlineMs: options.deadline,
        mostRequestsPerSecond,
        largestDifference: bench.largestDifference,
      },
      servers: await Promise.all(names.filter((name) => !missing.has(name)).map(describeServer)),
      missing: [...missing].map(([name, reason]) => ({ name: servers[name as ServerName].title, reason })),
      cells: bench.results.filter(({ server }) => !missing.has(server)),
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Starts servers, checks them, measures, and keeps what comes of it. */
class Bench {
  largestDifference = 0
  readonly #options: PeersArguments
  readonly #folder: string
  readonly #requests: Requests
  readonly #closedLoop: ClosedLoop
  readonly #log: Log
  readonly #models = new Map<string, { files: ModelFiles; answers: Answers }>()
  readonly #results = new Map<string, CellResult>()
  #sent = 0
  #started = 0

  constructor(options: PeersArguments, folder: string, requests: Requests, closedLoop: ClosedLoop, log: Log) {
    this.#options = options
    this.#folder = folder
    this.#requests = requests
    this.#closedLoop = closedLoop
    this.#log = log
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
    const [probe] = this.#requests.sample(first)
    const server = await startServer(
      kind,
      {
        model,
        files,
        setup: session.setup,
        python: this.#options.python,
        folder: join(this.#folder, `server-${this.#started++}`),
        plans: join(this.#options.cache, 'plans'),
      },
      async (base) => {
        await ask(urlOf(base, kind, first.form, model), forms[first.form], probe!, model)
        return true
      },
    )
    try {
      for (const cell of session.cells) {
        const difference = await checkAnswers(server, kind, cell.form, model, this.#requests.sample(cell), answers)
        this.largestDifference = Math.max(this.largestDifference, difference)
        await this.#closed(cell, server, 32, warmUpSeconds)
        await measure(cell, server)
      }
    } finally {
      await server.stop()
    }
  }

  async measureClosed(cell: Cell, server: RunningServer, repeat: number): Promise<void> {
    const result = await this.#result(cell)
    for (const connections of this.#options.connections) {
      const before = await hitsAndMisses(cell, server)
      const run = await this.#closed(cell, server, connections, this.#options.duration)
      const known = share(before, await hitsAndMisses(cell, server))
      result.closed.push({ connections, ...run, ...(known === undefined ? {} : { known }) })
      this.#log(
        `${nameOf(cell)}  ${repeat + 1}/${this.#options.repeats}  ${connections} connections  ${Math.round(run.requestsPerSecond)} req/s, p50 ${run.p50.toFixed(2)}, p99 ${run.p99.toFixed(2)} ms${run.errors > 0 ? `, ${run.errors} ERRORS` : ''}`,
      )
    }
  }

  async measureOpen(cell: Cell, server: RunningServer): Promise<void> {
    const result = await this.#result(cell)
    const { deadline: deadlineMs, openDuration: seconds, loads } = this.#options
    const kind: ServerKind = servers[cell.server]
    const { file } = await this.#requests.file(cell)
    for (const load of loads) {
      const rate = load * bestOf(result).requestsPerSecond
      if (rate > mostRequestsPerSecond) {
        this.#log(`${nameOf(cell)}  ${load}×  ${Math.round(rate)} req/s: more than the generator can send`)
        continue
      }
      const run = await generate({
        url: urlOf(server.base, kind, cell.form, referenceModels[cell.scenario.model]).href,
        headers: kind.deadlines ? { 'x-deadline-ms': String(deadlineMs) } : {},
        file,
        start: this.#next(rate * seconds),
        rate,
        seconds,
        seed,
        deadlineMs,
        ...openLoop,
      })
      result.open.push({ load, rate, seconds, ...run })
      const { good, late, rejected, failed, noConnection, reasons } = run
      this.#log(
        `${nameOf(cell)}  ${load}×  ${Math.round(rate)} req/s: ${good} good, ${late} late, ${rejected} rejected, ${failed} failed, ${noConnection} without connection${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}; generator late by ${run.lateness.p99.toFixed(1)} ms (p99), ${run.generatorCores.toFixed(2)} cores`,
      )
      await setTimeout(pauseMs)
    }
  }

  async #closed(cell: Cell, server: RunningServer, connections: number, seconds: number) {
    const { file } = await this.#requests.file(cell)
    const url = urlOf(server.base, servers[cell.server], cell.form, referenceModels[cell.scenario.model])
    const run = await this.#closedLoop.run({ url, group: server.group, file, start: this.#sent, connections, seconds })
    this.#next(run.requestsPerSecond * seconds)
    return run
  }

  /** Where a run of so many requests begins: where the last one ended, so that a candidate comes again as late as it can. */
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
    const { meanBytes, count } = await this.#requests.file(cell)
    const { server, form, candidates } = cell
    const { workers, batch } = servers[server].setup(cell.scenario)
    const made: CellResult = {
      server,
      scenario: cell.scenario.name,
      form,
      candidates,
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

/** Candidates that multigate knew, and those that it didn't, so far. */
async function hitsAndMisses({ server }: Cell, { base }: RunningServer): Promise<number[]> {
  if (server !== 'multigate') return []
  const text = await (await fetch(new URL('/metrics', base))).text()
  return ['hits', 'misses'].map((name) => {
    const value = new RegExp(`^multigate_candidate_cache_${name}_total\\{[^}]*\\} (\\S+)`, 'm').exec(text)?.[1]
    return Number(value ?? 0)
  })
}

function share([hits0 = 0, misses0 = 0]: number[], [hits, misses]: number[]): number | undefined {
  if (hits === undefined || misses === undefined) return undefined
  const [newHits, newMisses] = [hits - hits0, misses - misses0]
  return newHits === 0 ? 0 : newHits / (newHits + newMisses)
}

async function describeServer(name: ServerName): Promise<PeersReport['servers'][number]> {
  return { name: servers[name].title, versions: servers[name].python ? await pinnedVersions(name) : {} }
}

import { execFile, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type ClosedLoopResult, runClosedLoop as runAutocannon } from '../closed-loop.ts'
import { readContents } from '../request-file.ts'
import { withProcessorTime } from './processor-time.ts'

/** One run against one server. */
export interface ClosedRun extends Omit<ClosedLoopResult, 'cpuMs'> {
  /** Server CPU time per response, whatever its status, ms. */
  serverMs: number
  /** Cores used by the generator: CPU time ÷ time; NaN if unknown. */
  generatorCores: number
  /** Cores used by everything else, including this machine's host: above about 0.1 the run is unreliable. */
  otherCores: number
}

export interface ClosedLoad {
  /** Where to POST to. */
  url: URL
  /** The server's processes. */
  group: number
  /** request-file.ts. */
  file: string
  /** The first request of the run. */
  start: number
  connections: number
  /** Whole seconds. */
  seconds: number
}

type Measured = Omit<ClosedRun, 'serverMs' | 'otherCores'> & {
  answers: number
  /** Processor time that the generator used in all, s. */
  generatorSeconds: number
}

export interface ClosedLoop {
  /** With its version, for the report. */
  generator: string
  run(load: ClosedLoad): Promise<ClosedRun>
}

const script = join(import.meta.dirname, '../../../loadtest/competitors/wrk.lua')

/**
 * Uses wrk if it is installed, which takes a fifth of the CPU time of a generator in JavaScript; otherwise autocannon.
 */
export function createClosedLoop(): ClosedLoop {
  const { stdout = '', error } = spawnSync('wrk', ['-v'], { encoding: 'utf8' })
  const measure = error ? withAutocannon : withWrk
  return {
    generator: error ? 'autocannon (wrk is not installed)' : (/^wrk \S+/.exec(stdout)?.[0] ?? 'wrk'),
    async run(load) {
      const { answers, serverSeconds, generatorSeconds, ...run } = await withProcessorTime(load.group, () =>
        measure(load),
      )
      return { ...run, serverMs: (serverSeconds / (answers + run.errors)) * 1000 }
    },
  }
}

async function withWrk({ url, file, start, connections, seconds }: ClosedLoad): Promise<Measured> {
  const { stdout } = await promisify(execFile)(
    'wrk',
    [
      ...['--threads', '1', '--connections', String(connections), '--duration', `${seconds}s`],
      ...['--timeout', '10s', '--script', script, url.origin],
    ],
    { env: { ...process.env, REQUEST_FILE: file, REQUEST_PATH: url.pathname, REQUEST_START: String(start) } },
  )
  return readWrk(stdout)
}

/** The result line of wrk.lua. Throws without such a line. */
export function readWrk(output: string): Measured {
  const line = output.split('\n').find((line) => line.startsWith('{"requests"'))
  if (line === undefined) throw new Error(`wrk ended without a result:\n${output.slice(-1000)}`)
  const { requests, seconds, refused, broken, p50, p99, p999, cpu, loading } = JSON.parse(line) as Record<
    string,
    number
  >
  const answers = requests! - refused!
  return {
    answers,
    requestsPerSecond: answers / seconds!,
    p50: p50!,
    p99: p99!,
    p999: p999!,
    errors: refused! + broken!,
    generatorCores: cpu! / seconds!,
    generatorSeconds: cpu! + loading!,
  }
}

async function withAutocannon({ url, file, start, connections, seconds }: ClosedLoad): Promise<Measured> {
  const entries = readContents(await readFile(file))
  const requests = [...entries.slice(start % entries.length), ...entries.slice(0, start % entries.length)]
  const cpu = process.cpuUsage()
  const run = await runAutocannon(url, { bodies: requests, connections, seconds })
  const { user, system } = process.cpuUsage(cpu)
  const generatorSeconds = (user + system) / 1e6
  return { ...run, generatorCores: generatorSeconds / seconds, generatorSeconds }
}

import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { reasonOf } from '../src/base/errors.ts'
import { describeMachine, type Machine } from './machine.ts'
import { type Options, readOptions, type ValuesOf } from './options.ts'

export type Log = (line: string) => void

interface Output {
  /** Where the page is written. */
  out?: string | undefined
}

/** Something that the load test measures: what it is, its options, and how it is done. */
export interface Experiment<O extends Output = Output> {
  description: string
  /** Reads its options; ends the process where they are wrong or ask for help. `others`: more to say in its help. */
  read(argv: readonly string[], command: string, others?: string): O
  run(options: O, context: Context): Promise<Findings | string | undefined>
}

/** The surroundings of a run. */
export interface Context {
  machine: Machine
  log: Log
  /** The name of the picture beside the page; undefined where nothing is written. */
  picture: string | undefined
}

/** A page in Markdown, and the files beside it. */
export interface Findings {
  text: string
  picture?: () => string | Promise<string>
  json?: unknown
  /** Printed after the page, and not written. */
  note?: string | undefined
  /** Why the run counts as failed, although it has a page. */
  failure?: string | undefined
}

interface Declaration<T extends Options> {
  description: string
  /** By their names; `--out` is added. */
  options: T
  /** Help for `--out`; `false`: no page is written. */
  out?: string | false
  run(options: ValuesOf<T> & Output, context: Context): Promise<Findings | string | undefined>
}

/** An experiment whose options are declared by name. */
export function experiment<const T extends Options>(declared: Declaration<T>): Experiment<ValuesOf<T> & Output> {
  const { description, options, out = 'also write the results here', run } = declared
  const output: Options = out ? { out: ['<file.md>', out] } : {}
  return {
    description,
    read: (argv, name) => readOptions(argv, { name, description, options: { ...options, ...output } }) as ValuesOf<T>,
    run,
  }
}

/** Runs an experiment as this process, which ends with it. Signals end it, and with it its servers and folders. */
export async function runMain(...run: Parameters<typeof runExperiment>): Promise<never> {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.on(signal, () => process.exit(code))
  try {
    await runExperiment(...run)
    process.exit(0)
  } catch (error) {
    console.error(`the load test failed: ${reasonOf(error)}`)
    process.exit(1)
  }
}

/** Reads the options, runs the experiment, and prints and writes its page. Rejects if it failed. */
async function runExperiment(
  experiment: Experiment,
  command: string,
  argv: readonly string[],
  others?: string,
): Promise<void> {
  const options = experiment.read(argv, command, others)
  const { out } = options
  const beside = (ending: string) => out!.replace(/(\.md)?$/, ending)
  const started = performance.now()
  const seconds = () => ((performance.now() - started) / 1000).toFixed(0).padStart(3)
  const found = await experiment.run(options, {
    machine: await describeMachine(new Date()),
    log: (line) => console.error(`${seconds()} s  ${line}`),
    picture: out === undefined ? undefined : basename(beside('.svg')),
  })
  if (found === undefined) return
  const { text, picture, json, note, failure }: Findings = typeof found === 'string' ? { text: found } : found
  console.log(text)
  if (out !== undefined) {
    await mkdir(dirname(resolve(out)), { recursive: true })
    await writeFile(out, text)
    if (picture) await writeFile(beside('.svg'), await picture())
    if (json !== undefined) await writeFile(beside('.json'), `${JSON.stringify(json, null, 2)}\n`)
  }
  if (note !== undefined) console.log(`\n${note}`)
  if (failure !== undefined) throw new Error(failure)
}

const folders: string[] = []

/** An empty folder that is removed when this process ends, whatever ends it. */
export async function temporaryFolder(parent = tmpdir()): Promise<string> {
  await mkdir(parent, { recursive: true })
  const folder = await mkdtemp(join(parent, 'multigate-run-'))
  // Servers, whose handler has been there before, are killed first.
  if (folders.length === 0) process.once('exit', removeFolders)
  folders.push(folder)
  return folder
}

function removeFolders(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
}

/**
 * Measures each of them once in every round, in turns, so that other work on the machine affects all alike; the results
 * of each.
 */
export async function inTurns<T, R>(
  items: readonly T[],
  rounds: number,
  measure: (item: T, round: number) => Promise<R>,
): Promise<R[][]> {
  const results: R[][] = items.map(() => [])
  for (let round = 0; round < rounds; round++)
    for (const [i, item] of items.entries()) results[i]!.push(await measure(item, round))
  return results
}

interface Stoppable {
  stop(): Promise<unknown>
}

/** Starts servers one after the other, and stops them after their use, also where one of them does not start. */
export async function withServers<S extends Stoppable, T>(
  starts: readonly (() => Promise<S>)[],
  use: (servers: S[]) => Promise<T>,
): Promise<T> {
  const servers: S[] = []
  try {
    for (const start of starts) servers.push(await start())
    return await use(servers)
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
}

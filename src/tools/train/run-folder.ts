import { appendFile, open, readdir, readFile, rm, rmdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import Type, { type Static } from 'typebox'
import { ModelError, reasonOf } from '../../base/errors.ts'
import { isLeftOf, makeFolder, replaceFile } from '../../base/files.ts'
import { isAlive } from '../../base/process.ts'
import { check } from '../../schemas/check.ts'
import { Epoch } from '../../schemas/evaluation.ts'
import type { FitProgress } from './fit.ts'
import type { Best, KeptWeights } from './keep-best.ts'
import { momentsOf, type TrainingStep } from './network/training-step.ts'
import type { TrainingState } from './threads/trainer.ts'

/*
 * A run's own folder: what it needs to go on after it was killed. `run.json` is written last, and names the files of
 * one epoch; so a run that is killed while it writes goes on from the epoch before.
 */

const bestOf = {
  epoch: Type.Integer({ minimum: 0 }),
  value: Type.Union([Type.Number(), Type.Null()]),
  waited: Type.Number({ minimum: 0 }),
}

const RunFile = Type.Object({
  run: Type.Literal(1, { description: 'Version of this format' }),
  identity: Type.Record(Type.String(), Type.String(), { description: 'What must be the same for the run to go on' }),
  epoch: Type.Integer({ minimum: 1 }),
  steps: Type.Integer({ minimum: 1 }),
  best: Type.Object({
    ...bestOf,
    tasks: Type.Optional(Type.Array(Type.Object(bestOf), { description: 'Where each task has a network of its own' })),
  }),
  history: Type.Array(Epoch),
})
type RunFile = Static<typeof RunFile>

const runFile = 'run.json'
/** Holds the id of the process whose run it is. */
const lockFile = 'run.pid'
/** A line of JSON per epoch. */
export const historyFile = 'history.jsonl'

/** The properties that a run depends on, by names for people: `spec`, `data`, `threads`. */
export type RunIdentity = Record<string, string>

export interface ResumedRun extends FitProgress {
  state: TrainingState
  kept: KeptWeights
}

export interface RunFolder {
  path: string
  /** Whether an unfinished run is there. */
  unfinished: boolean
  /**
   * The unfinished run. Rejects with an Error that names the file or what differs if there is none, it is damaged, or
   * it has another identity.
   */
  resume(identity: RunIdentity, plan: TrainingStep): Promise<ResumedRun>
  /** Starts a run: what another left behind goes. */
  start(identity: RunIdentity): Promise<void>
  save(progress: FitProgress, state: TrainingState, kept: KeptWeights | undefined): Promise<void>
  /** Removes the run's files: it is over. */
  remove(): Promise<void>
}

export async function openRunFolder(path: string): Promise<RunFolder> {
  let identity: RunIdentity = {}
  const unfinished = await stat(join(path, runFile)).then(
    () => true,
    () => false,
  )
  return {
    path,
    unfinished,
    async resume(wanted, plan) {
      const run = await readRun(path)
      await lock(path)
      for (const [name, value] of Object.entries(wanted))
        if (run.identity[name] !== value)
          throw new ModelError(
            'INVALID_REQUEST',
            `${join(path, runFile)}: the run has another ${name}${differenceOf(run.identity[name], value)}; it can't go on with this one: start without --resume`,
          )
      identity = wanted
      const { epoch, steps, history } = run
      const best = fromFile(run.best)
      const state = await readArrays(join(path, stateFile(epoch)), stateSizes(plan))
      const kept = await readArrays(join(path, bestFile(best.epoch)), keptSizes(plan))
      return { epoch, steps, best, history, state: toState(plan, state), kept: toKept(kept) }
    },
    async start(wanted) {
      identity = wanted
      await makeFolder(path)
      await lock(path)
      await clear(path)
    },
    async save({ epoch, steps, best, history }, state, kept) {
      const { weights, first, second, tables } = state
      await writeArrays(join(path, stateFile(epoch)), [
        weights,
        first,
        second,
        ...tables.flatMap((table) => [table.values, table.first, table.second]),
      ])
      if (kept) await writeArrays(join(path, bestFile(epoch)), [kept.weights, ...kept.tables])
      if (best.epoch > 0) {
        const file: RunFile = { run: 1, identity, epoch, steps, best: toFile(best), history }
        await replaceFile(join(path, runFile), JSON.stringify(file))
      }
      await appendFile(join(path, historyFile), `${JSON.stringify(history.at(-1))}\n`)
      await rm(join(path, stateFile(epoch - 1)), { force: true })
      if (kept) for (let old = 1; old < epoch; old++) await rm(join(path, bestFile(old)), { force: true })
    },
    async remove() {
      if ((await ownerOf(path)) !== undefined) return
      await clear(path)
      await rm(join(path, lockFile), { force: true })
      // Other files keep it.
      await rmdir(path).catch(() => undefined)
    },
  }
}

/** JSON knows no infinity, which is what a task without a best epoch has. */
function toFile({ tasks, ...best }: FitProgress['best']): RunFile['best'] {
  const finite = (one: Best) => ({ ...one, value: Number.isFinite(one.value) ? one.value : null })
  return { ...finite(best), ...(tasks && { tasks: tasks.map(finite) }) }
}

function fromFile({ tasks, ...best }: RunFile['best']): FitProgress['best'] {
  const known = (one: typeof best): Best => ({
    ...one,
    value: one.value ?? (one.epoch === 0 ? Number.POSITIVE_INFINITY : Number.NaN),
  })
  return { ...known(best), ...(tasks && { tasks: tasks.map(known) }) }
}

const stateFile = (epoch: number) => `state-${epoch}.bin`
const bestFile = (epoch: number) => `best-${epoch}.bin`

/** Names the parts of a spec, as JSON, that differ. */
function differenceOf(before: string | undefined, now: string): string {
  try {
    const [a, b] = [JSON.parse(before ?? ''), JSON.parse(now)] as Record<string, unknown>[]
    const keys = [...new Set([...Object.keys(a!), ...Object.keys(b!)])]
    const changed = keys.filter((key) => JSON.stringify(a![key]) !== JSON.stringify(b![key]))
    return changed.length === 0 ? '' : `, in ${changed.map((key) => `/${key}`).join(', ')}`
  } catch {
    return ''
  }
}

async function readRun(path: string): Promise<RunFile> {
  const file = join(path, runFile)
  const text = await readFile(file, 'utf8').catch((cause) => {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT'
    throw new ModelError(
      'INVALID_REQUEST',
      missing ? `${path} holds no unfinished run` : `${file}: can't be read: ${reasonOf(cause)}`,
      {
        cause,
      },
    )
  })
  try {
    const problems: { path: string; message: string }[] = []
    const run = check(RunFile, JSON.parse(text), '', problems)
    if (problems.length > 0) throw new ModelError('INVALID_REQUEST', `${problems[0]!.path} ${problems[0]!.message}`)
    return run as RunFile
  } catch (cause) {
    throw new ModelError('INVALID_REQUEST', `${file}: is no run of multigate: ${reasonOf(cause)}`, { cause })
  }
}

const stateSizes = ({ size, tables }: TrainingStep): number[] => [
  size,
  size,
  size,
  ...tables.flatMap((table) => {
    const { first, second } = momentsOf(table)
    return [table.rows * table.width, first, second]
  }),
]
const keptSizes = ({ size, tables }: TrainingStep): number[] => [size, ...tables.map(({ rows, width }) => rows * width)]

function toState({ tables }: TrainingStep, arrays: Float32Array[]): TrainingState {
  const [weights, first, second] = arrays as [Float32Array, Float32Array, Float32Array]
  const at = (table: number, part: number) => arrays[3 + table * 3 + part]!
  return {
    ...{ weights, first, second },
    tables: tables.map((_, table) => ({ values: at(table, 0), first: at(table, 1), second: at(table, 2) })),
  }
}

function toKept([weights, ...tables]: Float32Array[]): KeptWeights {
  return { weights: weights!, tables }
}

const floatBytes = ({ buffer, byteOffset, byteLength }: Float32Array) => new Uint8Array(buffer, byteOffset, byteLength)

/** Bytes per call: the system writes at most 2 GiB at a time. */
const most = 2 ** 28

async function writeArrays(path: string, arrays: readonly Float32Array[]): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (const array of arrays) {
      const bytes = floatBytes(array)
      for (let start = 0; start < bytes.length; ) {
        // The file system takes no shared memory.
        const part = Buffer.from(bytes.subarray(start, start + most))
        start += (await file.write(part)).bytesWritten
      }
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

async function readArrays(path: string, sizes: readonly number[]): Promise<Float32Array[]> {
  const file = await open(path, 'r').catch((cause) => {
    throw new ModelError('INVALID_REQUEST', `${path}: can't be read: ${reasonOf(cause)}`, { cause })
  })
  try {
    const expected = sizes.reduce((sum, size) => sum + size * 4, 0)
    const { size } = await file.stat()
    if (size !== expected)
      throw new ModelError('INVALID_REQUEST', `${path}: has ${size} bytes, not the ${expected} that this network needs`)
    const arrays: Float32Array[] = []
    for (const length of sizes) {
      const array = new Float32Array(length)
      const bytes = floatBytes(array)
      for (let done = 0; done < bytes.length; ) {
        const { bytesRead } = await file.read(bytes, done, Math.min(most, bytes.length - done), null)
        if (bytesRead === 0) throw new ModelError('INVALID_REQUEST', `${path}: ends too early`)
        done += bytesRead
      }
      arrays.push(array)
    }
    return arrays
  } finally {
    await file.close()
  }
}

/** Takes the folder for this process. Rejects with INVALID_REQUEST while another process has it. */
async function lock(path: string): Promise<void> {
  const file = join(path, lockFile)
  const owner = await ownerOf(path)
  if (owner !== undefined)
    throw new ModelError(
      'INVALID_REQUEST',
      `${path} belongs to a run of process ${owner}, which is alive: name another folder by --run, or delete ${file} if that process is no training`,
    )
  await replaceFile(file, `${process.pid}\n`)
}

/** The other process that has the folder, if it is alive. */
async function ownerOf(path: string): Promise<number | undefined> {
  const owner = Number(await readFile(join(path, lockFile), 'utf8').catch(() => ''))
  return owner > 0 && owner !== process.pid && isAlive(owner) ? owner : undefined
}

/** Removes a run's own files, and no others. */
async function clear(path: string): Promise<void> {
  const names = await readdir(path).catch(() => [])
  const isLeft = (name: string) => isLeftOf(runFile, name) || isLeftOf(lockFile, name)
  const own = names.filter(
    (name) => name === runFile || name === historyFile || /^(state|best)-\d+\.bin$/.test(name) || isLeft(name),
  )
  for (const name of own) await rm(join(path, name), { force: true })
}

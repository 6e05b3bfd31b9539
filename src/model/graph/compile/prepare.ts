import { createHash } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { reasonOf } from '../../../base/errors.ts'
import { makeFolder } from '../../../base/files.ts'
import { type CompiledPlan, filesOf, type PlanDescription, type Verdict } from '../../contracts/compiled-plan.ts'
import { tooFew } from '../int8/different-rows.ts'
import { largestWeight } from '../int8/largest-weight.ts'
import { compilerVersion, readPlan } from './plan-files.ts'
import type { BuildRequest, Prepared, PrepareRequest } from './prepare-request.ts'
import { cleanCache, sizeOf } from './stored-files.ts'

/**
 * The compiled plan of a saved graph: from the cache, or else compiled, and stored in the cache if that is writable.
 * int8 is evaluated on this machine each time.
 *
 * Never rejects: a graph that cannot be compiled is served as saved.
 */
export async function prepare(request: PrepareRequest): Promise<Prepared> {
  const warnings: string[] = []
  const build: BuildRequest = { ...request, precision: compiledFor[request.precision] }
  const folder = request.cache === undefined ? undefined : join(request.cache, planKey(build))
  try {
    const cached = folder === undefined ? undefined : await fromCache(folder, warnings)
    const stored = cached
      ? { folder: folder!, description: cached, origin: 'cached' as const }
      : await compileAndStore(build, folder, warnings)
    for (const { path } of stored.description.tables)
      warnings.push(`${path} is mapped where it is, as there is no room for a copy: a write into it may end the server`)
    return { plan: { ...stored, ...(await choose(request, stored)) }, problem: undefined, warnings }
  } catch (error) {
    const unstored = isOfDisk(error) ? `${whyUnstored(error, tmpdir())}, so the graph runs as it was saved` : undefined
    return { plan: undefined, problem: reasonOf(error), unstored, warnings }
  }
}

/**
 * The precision that the compiler works for: bfloat16 computes the float32 plan, and shares it with versions that are
 * served in float32.
 */
const compiledFor = { float32: 'float32', bfloat16: 'float32', int8: 'int8', auto: 'int8' } as const

/** Removes a plan that is in no cache. */
export async function removeTemporary({ origin, folder }: Pick<CompiledPlan, 'origin' | 'folder'>): Promise<void> {
  if (origin === 'temporary') await rm(dirname(folder), { recursive: true, force: true })
}

/** Largest plan that is read without a thread, bytes: hashing it takes a few milliseconds. */
const smallPlan = 4 * 2 ** 20

/**
 * A small float32 plan from the cache, read in this thread; undefined for any other plan. A thread takes longer to
 * start than to read such a plan. Never rejects: a damaged plan is left to `prepare`.
 */
export async function prepareSmall(request: PrepareRequest): Promise<Prepared | undefined> {
  const { cache, precision } = request
  if (cache === undefined || precision !== 'float32') return undefined
  const folder = join(cache, planKey({ ...request, precision }))
  try {
    if ((await sizeOf(folder)) > smallPlan) return undefined
    const description = await readPlan(folder)
    if (description === undefined) return undefined
    const stored = { folder, description, origin: 'cached' as const }
    return { plan: { ...stored, ...(await choose(request, stored)) }, problem: undefined, warnings: [] }
  } catch {
    return undefined
  }
}

async function fromCache(folder: string, warnings: string[]): Promise<PlanDescription | undefined> {
  try {
    return await readPlan(folder)
  } catch (error) {
    // A cache that is not a folder has no plans; storing the plan reports the problem.
    if ((await stat(dirname(folder)).catch(() => undefined))?.isDirectory() !== true) return undefined
    warnings.push(`a compiled plan in the cache is unusable and is compiled again: ${reasonOf(error)}`)
    await rm(folder, { recursive: true, force: true }).catch(() => undefined)
    return undefined
  }
}

/** A system error may be due to the disk, as when it is full or read-only. */
const isOfDisk = (error: unknown): error is NodeJS.ErrnoException =>
  (error as NodeJS.ErrnoException).syscall !== undefined

/**
 * Without the path, but where a file is in the folder's place: "file already exists" would sound as if all were well.
 */
function whyUnstored(error: NodeJS.ErrnoException, folder: string): string {
  if (error.code === 'EEXIST' || error.code === 'ENOTDIR') return `a file is in the place of the folder ${folder}`
  return reasonOf(error).split(', ')[0]!
}

async function compileAndStore(
  request: BuildRequest,
  folder: string | undefined,
  warnings: string[],
): Promise<Pick<CompiledPlan, 'folder' | 'description' | 'origin' | 'unstored'>> {
  const { cache, now } = request
  // Loading the compiler takes longer than reading a plan from the cache, so it is imported only when needed.
  const { buildPlan } = await import('./build-plan.ts')
  let unstored: string | undefined
  if (cache !== undefined && folder !== undefined) {
    try {
      await makeFolder(cache)
      await cleanCache(cache, now, request.cacheBytes)
      return { folder, description: await buildPlan(request, folder), origin: 'compiled' }
    } catch (error) {
      // Another folder may work then. Other errors would occur there too.
      if (!isOfDisk(error)) throw error
      unstored = whyUnstored(error, cache)
    }
  }
  const temporary = await mkdtemp(join(tmpdir(), 'multigate-plan-'))
  try {
    const own = join(temporary, 'plan')
    const description = await buildPlan(request, own)
    if (unstored === undefined) return { folder: own, description, origin: 'temporary' }
    warnings.push(`the compiled plan can't be stored in the cache ${cache}: ${unstored}`)
    return { folder: own, description, origin: 'temporary', unstored: `${unstored}, so each start compiles it again` }
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    throw error
  }
}

/**
 * The precision to serve: the requested one if it passes its evaluation on this machine, and is faster where that is
 * asked for, or the fastest of those that pass.
 */
async function choose(
  { precision, onlyIfFaster, quantization }: PrepareRequest,
  stored: Pick<CompiledPlan, 'folder' | 'description' | 'origin'>,
): Promise<Pick<CompiledPlan, 'precision' | 'verdict' | 'precisionProblem' | 'products' | 'onednn' | 'choice'>> {
  const exact = { precision: 'float32', verdict: undefined, precisionProblem: undefined } as const
  if (precision === 'float32') return exact
  const refuse = (precisionProblem: string, verdict?: Verdict) => ({ ...exact, verdict, precisionProblem })
  const others = precision === 'auto' ? 'other precisions' : precision
  if (quantization === undefined) return refuse(`the version has no quantization rows to evaluate ${others} with`)
  const few = tooFew(quantization.judged)
  if (few !== undefined) return refuse(`half of the quantization rows evaluate ${others}: ${few}`)
  // Imported where it is needed: other plans do without oneDNN's library.
  const { choosePrecision, judge, orFloat32 } = await import('./choose-precision.ts')
  try {
    if (precision === 'auto') return { ...exact, ...(await choosePrecision(stored, quantization.judged)) }
    if (precision === 'int8' && stored.description.int8 === undefined)
      return refuse(stored.description.int8Problem ?? 'int8 was not compiled')
    const judged = await judge(precision, stored, quantization.judged)
    const { verdict } = judged
    if (!verdict.passed) return refuse(verdict.reasons.join('; '), verdict)
    const wanted = { precision, precisionProblem: undefined, ...judged }
    // Tables of bytes are there for the memory.
    const isOfMemory = precision === 'int8' && filesOf({ ...stored, precision }).tables.length > 0
    if (!onlyIfFaster || isOfMemory) return wanted
    const { choice } = (await orFloat32(precision, judged, stored, quantization.judged)) ?? {}
    return choice === undefined ? wanted : { ...exact, verdict, choice }
  } catch (error) {
    return refuse(`${precision} can't be evaluated: ${reasonOf(error)}`)
  }
}

function planKey(request: BuildRequest): string {
  const {
    source,
    output,
    sides,
    fields,
    precision,
    quantization,
    live,
    lists = [],
    tables = 'float32',
    identity,
  } = request
  const { format, file, signature, joined, outputs } = source
  // A plan without int8, because its rows could not be read, must not be reused when they can.
  const int8 = precision === 'int8' && quantization !== undefined
  const read = [format, file, signature, joined, outputs]
  const parts: unknown[] = [compilerVersion, ...read, output, sides, fields, precision, int8 && largestWeight, identity]
  if (live !== undefined) parts.push(live)
  if (lists.length > 0) parts.push(lists)
  if (tables !== 'float32') parts.push(tables, quantization !== undefined)
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}

import { createHash } from 'node:crypto'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { reasonOf } from '../base/errors.ts'
import type { CompiledPlan, PlanDescription, Verdict } from '../contracts/compiled-plan.ts'
import type { InputRows } from './int8/observe-ranges.ts'
import type { Prepared, PrepareRequest } from './prepare-request.ts'
import { cleanCache } from './store/clean-cache.ts'
import { compilerVersion, makeFolder, readPlan } from './store/plan-files.ts'

/**
 * A compiled plan of a saved graph, from the cache if it is there, else compiled, and kept in the cache if that can be
 * written to. int8 is judged here, on this machine, each time.
 *
 * Never rejects: what can't be compiled is served as it was saved.
 */
export async function prepare(request: PrepareRequest): Promise<Prepared> {
  const warnings: string[] = []
  const folder = request.cache === undefined ? undefined : join(request.cache, keyOf(request))
  try {
    const cached = folder === undefined ? undefined : await fromCache(folder, warnings)
    const stored = cached
      ? { folder: folder!, description: cached, origin: 'cached' as const }
      : await compileAndStore(request, folder, warnings)
    return { plan: { ...stored, ...(await choose(request, stored)) }, problem: undefined, warnings }
  } catch (error) {
    return { plan: undefined, problem: reasonOf(error), warnings }
  }
}

async function fromCache(folder: string, warnings: string[]): Promise<PlanDescription | undefined> {
  try {
    return await readPlan(folder)
  } catch (error) {
    // What is no folder holds no plan; that it can't be one is said when the plan is to be kept.
    if ((await stat(dirname(folder)).catch(() => undefined))?.isDirectory() !== true) return undefined
    warnings.push(`a compiled plan in the cache is not used and made anew: ${reasonOf(error)}`)
    await rm(folder, { recursive: true, force: true }).catch(() => undefined)
    return undefined
  }
}

async function compileAndStore(
  request: PrepareRequest,
  folder: string | undefined,
  warnings: string[],
): Promise<Pick<CompiledPlan, 'folder' | 'description' | 'origin'>> {
  const { cache, now } = request
  // The compiler takes longer to load than a plan to be read from the cache: most starts do without it.
  const { buildPlan } = await import('./build-plan.ts')
  let problem: string | undefined
  if (cache !== undefined && folder !== undefined) {
    try {
      await makeFolder(cache)
      await cleanCache(cache, now)
      return { folder, description: await buildPlan(request, folder), origin: 'compiled' }
    } catch (error) {
      // What can't be compiled here can't be compiled elsewhere; but where the disk is at fault another may do.
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
      problem = reasonOf(error)
    }
  }
  const temporary = await mkdtemp(join(tmpdir(), 'multigate-plan-'))
  try {
    const own = join(temporary, 'plan')
    const description = await buildPlan(request, own)
    if (problem !== undefined) warnings.push(`the compiled plan can't be kept in the cache ${cache}: ${problem}`)
    return { folder: own, description, origin: 'temporary' }
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    throw error
  }
}

/** With fewer rows there is no 99th percentile to speak of. */
const fewestJudged = 100

function countDifferent({ rows, inputs }: InputRows): number {
  const seen = new Set<string>()
  for (let row = 0; row < rows; row++)
    seen.add(
      Object.values(inputs)
        .map((values) => values.subarray((row * values.length) / rows, ((row + 1) * values.length) / rows).join())
        .join(),
    )
  return seen.size
}

/** Which precision is served: int8 where it was asked for and passes its check here. */
async function choose(
  { precision, quantization }: PrepareRequest,
  { folder, description }: Pick<CompiledPlan, 'folder' | 'description'>,
): Promise<Pick<CompiledPlan, 'precision' | 'verdict' | 'precisionProblem'>> {
  if (precision === 'float32') return { precision, verdict: undefined, precisionProblem: undefined }
  const refuse = (precisionProblem: string, verdict?: Verdict) => ({
    precision: 'float32' as const,
    verdict,
    precisionProblem,
  })
  if (quantization === undefined) return refuse('the version has no quantization rows to check int8 with')
  const rows = countDifferent(quantization.judged)
  if (rows < fewestJudged)
    return refuse(
      `half of the quantization rows judge int8, at least ${fewestJudged} different ones: there are ${rows}`,
    )
  if (description.int8 === undefined) return refuse(description.int8Problem ?? 'int8 was not compiled')
  let verdict: Verdict
  try {
    const { judgeFiles } = await import('./int8/judge.ts')
    verdict = await judgeFiles(folder, description.float32.full, description.int8.full, quantization.judged)
  } catch (error) {
    return refuse(`int8 can't be judged: ${reasonOf(error)}`)
  }
  if (!verdict.passed) return refuse(verdict.reasons.join('; '), verdict)
  return { precision: 'int8', verdict, precisionProblem: undefined }
}

function keyOf({ source, output, sides, fields, precision, quantization, identity }: PrepareRequest): string {
  const { format, file, signature, joined, outputs } = source
  // Rows that could not be read this time make no plan for the next.
  const int8 = precision === 'int8' && quantization !== undefined
  const read = [format, file, signature, joined, outputs]
  const parts = [compilerVersion, ...read, output, sides, fields, precision, int8, identity]
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32)
}

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClosedLoop } from '../competitors/closed-loop.ts'
import { forms } from '../competitors/forms.ts'
import { prepareModel } from '../competitors/models.ts'
import { scenarios } from '../competitors/scenarios.ts'
import { servers, startReady } from '../competitors/servers.ts'
import { copyModel } from '../many-models.ts'
import { readMetrics, withHitRate } from '../multigate.ts'
import { writeRequests } from '../request-file.ts'
import { type Point, queriesOf } from './axes.ts'

export interface Sample {
  /** From the start of the process until it is ready, s. */
  readySeconds: number
  residentMiB: number
  /** CPU time of the server per request, µs. */
  cpuMicros: number
  /** ms. */
  p50: number
  /** Responses with another status than 200, and broken connections. */
  errors: number
  /** Share of candidates that were cached; undefined where none is looked up. */
  hitRate: number | undefined
}

export interface MeasureOptions {
  closedLoop: ClosedLoop
  /** The folder of models and plans. */
  cache: string
  /** An empty folder, whose contents are removed. */
  folder: string
  seconds: number
}

const seed = 7
const mebibyte = 2 ** 20
/** Before the measured run, s. */
const warmUp = 2
/** After readiness, before memory is read, ms. */
const settled = 1000

/** Starts a server for a point, and loads it. */
export async function measurePoint(
  point: Point,
  { closedLoop, cache, folder, seconds }: MeasureOptions,
): Promise<Sample> {
  const { model, copies, connections } = point
  const files = await prepareModel(model, cache)
  await mkdir(folder, { recursive: true })
  const models = copies === 1 ? files.models : await copiesOf(files.models, model.name, copies, join(folder, 'models'))
  const file = join(folder, 'requests')
  await writeRequests(file, rendered(point))
  // Requests repeat: with the cache, their candidates would not be new for long.
  const settings = point.catalogue === undefined ? { MULTIGATE_CANDIDATE_CACHE_BYTES: '0' } : {}
  const started = performance.now()
  const server = await startReady(servers.multigate, {
    ...{ model, files: { ...files, models }, scenario: scenarios[0]!, folder, cache, settings },
  })
  try {
    const readySeconds = (performance.now() - started) / 1000
    await sleep(settled)
    const residentMiB = (await readMetrics(server.base))('process_resident_memory_bytes') / mebibyte
    const url = new URL(forms.tensors.path(), server.base)
    const load = { url, group: server.group, file, start: 0, connections }
    await closedLoop.run({ ...load, seconds: warmUp })
    const run = await withHitRate(server.base, () => closedLoop.run({ ...load, seconds }))
    const { serverMs, p50, errors, hitRate } = run
    return { readySeconds, residentMiB, cpuMicros: serverMs * 1000, p50, errors, hitRate }
  } finally {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

function* rendered(point: Point) {
  for (const query of queriesOf(point, seed)) yield forms.tensors.render(query, point.model)
}

/** The model itself, and copies of it with names of their own. */
async function copiesOf(models: string, name: string, copies: number, folder: string): Promise<string> {
  const names = Array.from({ length: copies }, (_, copy) => (copy === 0 ? name : `${name}-${copy}`))
  await copyModel(join(models, name, '1'), names, folder)
  return folder
}

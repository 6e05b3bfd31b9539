import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClosedLoop } from '../competitors/closed-loop.ts'
import { forms } from '../competitors/forms.ts'
import { prepareModel } from '../competitors/models.ts'
import { type ServerKind, servers, startServer } from '../competitors/servers.ts'
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

/** Requests repeat: with the cache, their candidates would not be new for long. */
const withoutCache: ServerKind = {
  ...servers.multigate,
  async launch(options) {
    const launch = await servers.multigate.launch(options)
    return { ...launch, env: { ...launch.env, MULTIGATE_CANDIDATE_CACHE_BYTES: '0' } }
  },
}

/** Starts a server for a point, and loads it. */
export async function measurePoint(
  point: Point,
  { closedLoop, cache, folder, seconds }: MeasureOptions,
): Promise<Sample> {
  const { model, copies, connections } = point
  const files = await prepareModel(model, cache)
  await mkdir(folder, { recursive: true })
  const models =
    copies === 1 ? files.models : await copyModels(files.models, model.name, copies, join(folder, 'models'))
  const file = join(folder, 'requests')
  await writeRequests(file, rendered(point))
  const kind = point.catalogue === undefined ? withoutCache : servers.multigate
  const started = performance.now()
  const server = await startServer(
    kind,
    {
      ...{ model, files: { ...files, models }, setup: servers.multigate.setup(), python: '' },
      ...{ folder, plans: join(cache, 'plans') },
    },
    async (base) => (await fetch(new URL('/readyz', base))).ok,
  )
  try {
    const readySeconds = (performance.now() - started) / 1000
    await sleep(settled)
    const residentMiB = (await metric(server.base, 'process_resident_memory_bytes ')) / mebibyte
    const url = new URL(forms.tensors.path(), server.base)
    const load = { url, group: server.group, file, start: 0, connections }
    await closedLoop.run({ ...load, seconds: warmUp })
    const before = await lookUps(server.base)
    const { serverMs, p50, errors } = await closedLoop.run({ ...load, seconds })
    const after = await lookUps(server.base)
    const looked = after.hits + after.misses - before.hits - before.misses
    return {
      ...{ readySeconds, residentMiB, cpuMicros: serverMs * 1000, p50, errors },
      hitRate: looked > 0 ? (after.hits - before.hits) / looked : undefined,
    }
  } finally {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

function* rendered(point: Point) {
  for (const query of queriesOf(point, seed)) yield forms.tensors.render(query, point.model)
}

/** The model itself, and copies of it with names of their own that share its files. */
async function copyModels(models: string, name: string, copies: number, folder: string): Promise<string> {
  const source = join(models, name, '1')
  const manifest = JSON.parse(await readFile(join(source, 'manifest.json'), 'utf8'))
  for (let copy = 0; copy < copies; copy++) {
    const own = copy === 0 ? name : `${name}-${copy}`
    const target = join(folder, own, '1')
    await mkdir(target, { recursive: true })
    for (const file of Object.keys(manifest.files)) await link(join(source, file), join(target, file))
    await writeFile(join(target, 'manifest.json'), JSON.stringify({ ...manifest, name: own }))
  }
  return folder
}

async function lookUps(base: URL): Promise<{ hits: number; misses: number }> {
  return {
    hits: await metric(base, 'multigate_candidate_cache_hits_total'),
    misses: await metric(base, 'multigate_candidate_cache_misses_total'),
  }
}

/** Sum of the series that begin so. */
async function metric(base: URL, begin: string): Promise<number> {
  const text = await (await fetch(new URL('/metrics', base))).text()
  return text
    .split('\n')
    .filter((line) => line.startsWith(begin))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

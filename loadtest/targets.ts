import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readLayersModel } from '../src/model/graph/lower/layers/layers-model.ts'
import { lowerLayersModel } from '../src/model/graph/lower/layers/lower-layers.ts'
import type { Bundle } from '../src/model/serving/bundle/read.ts'
import { bindingsOf } from '../src/model/serving/prediction/bindings.ts'
import { type ServingChild, startServing } from '../src/tools/load/serving.ts'
import { temporaryFolder } from './experiment.ts'
import { readMetrics, startMultigate } from './multigate.ts'

/** A server under test. */
export interface Target {
  name: string
  /** URL of `POST /predict`. */
  url: URL
  /** CPU time of all its threads since its start, s. */
  cpuSeconds(): Promise<number>
  stop(): Promise<void>
}

const built = join(import.meta.dirname, '..')

/** The server as `npm start` runs it; MULTIGATE_… variables apply. */
export async function startOurs(models: string, model: string): Promise<Target> {
  const server = await startMultigate({ models, settings: { MULTIGATE_DEFAULT_MODEL: model } })
  return { ...multigateAt(server.url), stop: server.stop }
}

/** A running server. */
export function multigateAt(base: string): Target {
  return {
    name: 'multigate',
    url: new URL('/predict', base),
    cpuSeconds: async () => (await readMetrics(base))('process_cpu_seconds_total'),
    stop: async () => {},
  }
}

/** Bare Fastify (bare-fastify.ts); `answerWith` sets its answer. */
export async function startBareFastify(): Promise<Target & { answerWith(answer: unknown): Promise<void> }> {
  const child = await startServing(join(built, 'loadtest/bare-fastify.js'), [], process.env)
  return {
    ...bare('bare Fastify', child),
    answerWith: (answer) =>
      new Promise((resolve, reject) => {
        child.process.once('message', () => resolve())
        child.process.send(answer as object, (error) => error && reject(error))
      }),
  }
}

/** Fastify with onnxruntime-node in the handler, with the graph that multigate runs, in one process. */
export async function startFastifyOnnx({ folder, manifest }: Bundle): Promise<Target> {
  const { probabilities, sparse = '', dense = '' } = bindingsOf(manifest)
  const MODEL = join(await temporaryFolder(), 'model.onnx')
  await writeFile(MODEL, lowerLayersModel(await readLayersModel(folder, manifest.graph.file), [probabilities]))
  const env = { ...process.env, MODEL, PORT: '0', WORKERS: '1', SPARSE: sparse, DENSE: dense }
  const script = join(built, 'loadtest/competitors/servers/fastify-onnx.js')
  const child = await startServing(script, [], { ...env, PROBABILITIES: probabilities, NODE_ENV: 'production' })
  return bare('Fastify + onnxruntime-node', child)
}

function bare(name: string, child: ServingChild): Target {
  return {
    name,
    url: new URL('/predict', child.url),
    async cpuSeconds() {
      const { user, system } = (await (await fetch(new URL('/cpu', child.url))).json()) as NodeJS.CpuUsage
      return (user + system) / 1e6
    },
    stop: () => child.stop(),
  }
}

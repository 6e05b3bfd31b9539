import { join } from 'node:path'
import { serverArgv } from '../src/app/v8-flags.ts'
import { type ServingChild, startServing, untilReady } from '../src/tools/load/serving.ts'
import { main } from './entries.ts'

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

/** The server as `npm start` runs it, on a free port; MULTIGATE_… variables apply. */
export async function startMultigate(models: string, model: string): Promise<Target> {
  const env = {
    ...process.env,
    MULTIGATE_HOST: '127.0.0.1',
    MULTIGATE_PORT: '0',
    MULTIGATE_MODELS: models,
    MULTIGATE_DEFAULT_MODEL: model,
    MULTIGATE_DRAIN_DELAY_MS: '0',
    MULTIGATE_LOG_LEVEL: 'info',
  }
  const child = await startServing(main, [], env, serverArgv([]))
  const target = multigateAt(child.url, child)
  try {
    await untilReady(child.url)
    return target
  } catch (error) {
    await target.stop()
    throw error
  }
}

/** A running server. */
export function multigateAt(base: string, child?: ServingChild): Target {
  return {
    name: 'multigate',
    url: new URL('/predict', base),
    async cpuSeconds() {
      const text = await (await fetch(new URL('/metrics', base))).text()
      return Number(/^process_cpu_seconds_total (\S+)/m.exec(text)?.[1] ?? Number.NaN)
    },
    stop: async () => child?.stop(),
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

/** Fastify with onnxruntime-node in the handler (fastify-onnx.ts). */
export async function startFastifyOnnx(models: string, model: string, version: string): Promise<Target> {
  const child = await startServing(join(built, 'loadtest/fastify-onnx.js'), [models, model, version], process.env)
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

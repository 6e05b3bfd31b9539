import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import { systemClock } from '../base/clock.ts'
import { reasonOf } from '../base/errors.ts'
import type { LoadedModel } from '../model/serving/prediction/loaded-model.ts'
import { sampleRequests } from '../model/serving/prediction/sample-requests.ts'
import { Registry } from '../model/serving/registry/registry.ts'
import { app, serverOptions } from '../server/app.ts'
import { createLargeBodyReader } from '../server/body/large-body-reader.ts'
import { addFastPath } from '../server/fast-path/fast-path.ts'
import { createMetrics } from '../server/metrics/metrics.ts'
import { createAdmission } from '../server/overload/admission.ts'
import { createMemoryBudget } from '../server/overload/pending-bytes.ts'
import { readerScript } from '../server/protocols/reader-script.ts'
import type { ServerContext } from '../server/request/context.ts'
import type { Log } from './load-options.ts'

/**
 * Asks models by HTTP before they are served, as clients will: V8 compiles what is called often, and until it has,
 * requests take several times as long.
 *
 * The requests go through the whole HTTP interface, but of a server of their own, on a free port of the loopback
 * address: no metrics and no log tell of them, and it has nothing else to answer with.
 */
export interface HttpWarmUp {
  /**
   * Asks a model for half of the time that is left since the first was asked, but no less than a fixed share of it;
   * several side by side. Never rejects.
   */
  run(model: LoadedModel): Promise<void>
  /** Ends every `run`; another does nothing from then on. Idempotent. */
  close(): Promise<void>
}

export interface HttpWarmUpOptions {
  /** Longest time of the first models, ms; many take up to `mostInAll` times as long. 0: nothing is asked. */
  ms: number
  maxBodyBytes: number
  log: Log
  /** Milliseconds, monotonic. */
  now(): number
}

/** Parallel requests to one model; several models share them. */
const connections = 16

/**
 * The least part of the time that a model is asked: by the halves of what is left, the tenth of ten models would have a
 * thousandth, in which it answers nothing.
 */
const leastShare = 1 / 8

/** The parts of all models together: those of about eighty. */
const mostInAll = 10

export function createHttpWarmUp({ ms, maxBodyBytes, log, now }: HttpWarmUpOptions): HttpWarmUp {
  let ends: number | undefined
  /** Time that models were given, ms. */
  let given = 0
  let closed = false
  let server: Promise<Target> | undefined
  const running = new Set<Promise<void>>()

  async function warm(model: LoadedModel): Promise<void> {
    const { name, version } = model.manifest
    const unwarmed = (reason: string) =>
      log.warn({ model: name, version, reason }, 'no warm-up: first requests will be slow')
    const share = Math.ceil(connections / (running.size + 1))
    let answers = 0
    try {
      server ??= startServer(maxBodyBytes)
      const { serve, ask } = await server
      await serve(model)
      // Time counts once the server answers, however slow the machine is.
      const started = now()
      ends ??= started + ms
      if (closed) return
      const own = Math.min(Math.max((ends - started) / 2, ms * leastShare), ms * mostInAll - given)
      if (own <= 0) {
        unwarmed('the models before it used up the time')
        return
      }
      given += own
      // One that has answered nothing by its time, as beside others that are loaded, has as much as the first model.
      const end = () => started + (answers > 0 ? own : Math.max(own, ms / 2))
      const bodies = sampleRequests(model).map((body) => Buffer.from(JSON.stringify(body)))
      let next = 0
      const askOn = async () => {
        for (;;) {
          const rest = end() - now()
          if (closed || rest <= 0) return
          // However slow the model is, it is over then.
          if ((await ask(bodies[next++ % bodies.length]!, rest)) === 200) answers++
        }
      }
      await Promise.all(Array.from({ length: share }, askOn))
      if (answers === 0 && !closed) {
        unwarmed('no request was answered in time')
        return
      }
      const seconds = Number(((now() - started) / 1000).toFixed(3))
      log.info({ model: name, version, answers, seconds }, 'warmed up by HTTP')
    } catch (error) {
      unwarmed(reasonOf(error))
    }
  }

  return {
    async run(model) {
      if (closed || ms === 0) return
      const warming = warm(model)
      running.add(warming)
      await warming
      running.delete(warming)
    },
    async close() {
      closed = true
      await Promise.all(running)
      const { stop } = (await server?.catch(() => undefined)) ?? {}
      await stop?.()
      // It holds the models that it asked.
      server = undefined
    },
  }
}

interface Target {
  /** From now on this model answers too. */
  serve(model: LoadedModel): Promise<void>
  /** The status of the response, within `ms` at the latest. */
  ask(body: Buffer, deadlineMs: number): Promise<number | undefined>
  /** Idempotent. */
  stop(): Promise<void>
}

async function startServer(maxBodyBytes: number): Promise<Target> {
  const models = new Map<string, LoadedModel>()
  const registry = new Registry({
    source: async () =>
      [...models].map(([name, { manifest }]) => ({
        name,
        versions: [{ version: manifest.version, stamp: '' }],
        labels: {},
      })),
    // It is not this registry's to close.
    load: async (name) => ({ ...models.get(name)!, close: async () => undefined }),
    mode: 'latest',
    defaultModel: undefined,
    requiredModels: [],
    now: systemClock.now,
  })
  const fastify = Fastify(serverOptions({ maxBodyBytes }))
  const bodies = createMemoryBudget({ maxBytes: Number.POSITIVE_INFINITY }).part()
  const context: ServerContext = {
    registry,
    folder: '',
    metrics: createMetrics({ models: () => [], pool: () => ({ workers: 0, alive: 0, replaced: 0 }) }),
    clock: systemClock,
    drain: { draining: false },
    admission: createAdmission({ clock: systemClock, predictedWait: () => 0, slots: 1 }),
    reader: createLargeBodyReader({ bodies, maxBodyBytes, maxRows: Number.POSITIVE_INFINITY, script: readerScript }),
    bodies,
    answers: createMemoryBudget({ maxBytes: Number.POSITIVE_INFINITY }).part(),
    admin: false,
    deadlineMs: 1000,
  }
  await fastify.register(app, { version: '', context })
  addFastPath(fastify.server, { context, log: fastify.log, maxBodyBytes })
  await fastify.listen({ host: '127.0.0.1', port: 0 })
  const { port } = fastify.server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true })
  return {
    async serve(model) {
      models.set(model.manifest.name, model)
      await registry.reconcile()
    },
    async ask(body, deadlineMs) {
      const headers = {
        'content-type': 'application/json',
        'content-length': body.length,
        'x-deadline-ms': String(deadlineMs),
      }
      const asked = request({ agent, host: '127.0.0.1', port, path: '/predict', method: 'POST', headers })
      asked.end(body)
      const [answer] = (await once(asked, 'response')) as [IncomingMessage]
      answer.resume()
      await once(answer, 'end')
      return answer.statusCode
    },
    async stop() {
      agent.destroy()
      await fastify.close()
    },
  }
}

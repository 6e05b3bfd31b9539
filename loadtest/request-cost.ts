// Measures what a request of one row costs in JavaScript, without sockets and the system, beside a handler that only
// parses its JSON.
//   node build/loadtest/request-cost.js [--rounds 30]
import { createServer, IncomingMessage, type RequestListener, type Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { createService } from '../src/app/service.ts'
import { median } from '../src/base/arrays.ts'
import { readConfiguration } from '../src/base/configuration.ts'
import { addFastPath } from '../src/server/fast-path/fast-path.ts'
import { defaultCache } from './competitors/arguments.ts'
import { forms } from './competitors/forms.ts'
import { prepareModel, referenceModels } from './competitors/models.ts'
import { createRequests } from './competitors/requests.ts'
import { scenarios } from './competitors/scenarios.ts'
import { emptyHandler } from './competitors/servers/empty-handler.ts'
import { experiment, inTurns, runMain } from './experiment.ts'

/** Requests that come in one turn of the event loop. */
const together = 32
/** Requests of one run. */
const ofARun = 3200
const warmUpRuns = 5

/** Takes what is written to it. */
class Sink extends Duplex {
  written = 0
  override _read() {}
  override _write(_: unknown, __: unknown, done: () => void) {
    this.written++
    done()
  }
  setTimeout() {
    return this
  }
}

const model = referenceModels.small
const scenario = scenarios.find(({ name }) => name === 'S1')!
const bodies = createRequests('', 7)
  .sample({ scenario, candidates: 'new' })
  .map((query) => forms.tensors.render(query, model).body)
const sinks = Array.from({ length: together }, () => new Sink())

function ask(listener: RequestListener, body: Buffer, sink: Sink): void {
  const socket = sink as unknown as Socket
  const request = new IncomingMessage(socket)
  const headers = { host: 'localhost', 'content-type': 'application/json', 'content-length': String(body.length) }
  Object.assign(request, {
    method: 'POST',
    url: '/predict',
    httpVersion: '1.1',
    httpVersionMajor: 1,
    httpVersionMinor: 1,
  })
  request.rawHeaders = Object.entries(headers).flat()
  request.headers = headers
  const response = new ServerResponse(request)
  response.assignSocket(socket)
  response.on('finish', () => {
    response.detachSocket(socket)
    process.nextTick(() => response.emit('close'))
  })
  listener(request, response)
  request.push(body)
  request.complete = true
  request.push(null)
}

/** µs of each request of a run. */
async function run(server: Server): Promise<number> {
  const [listener] = server.listeners('request') as RequestListener[]
  const written = () => sinks.reduce((sum, sink) => sum + sink.written, 0)
  const before = written()
  const began = performance.now()
  for (let i = 0; i < ofARun; i += together) {
    for (const [j, sink] of sinks.entries()) ask(listener!, bodies[(i + j) % bodies.length]!, sink)
    // Responses leave at the end of a turn.
    await setImmediate()
    await setImmediate()
  }
  const took = performance.now() - began
  if (written() - before < ofARun) throw new Error(`${written() - before} of ${ofARun} requests were answered`)
  return (took * 1000) / ofARun
}

const requestCost = experiment({
  description: 'Measure what a request of one row costs in JavaScript, without sockets and the system',
  options: { rounds: ['<number>', 'runs of each handler, in turns; the report has medians', Number, 30] },
  out: false,
  async run({ rounds }) {
    const files = await prepareModel(model, defaultCache())
    const { configuration } = readConfiguration({ MULTIGATE_MODELS: files.models, MULTIGATE_CONSOLE: 'false' }, {})
    const log = { info() {}, warn: console.warn, error: console.error, debug() {} }
    const service = await createService(configuration, { log } as unknown as Parameters<typeof createService>[1])
    try {
      await service.load()
      const empty = createServer(emptyHandler('{}'))
      const ours = createServer()
      const { context } = service.app
      const options = { context, log, maxBodyBytes: configuration.MULTIGATE_MAX_BODY_BYTES }
      addFastPath(ours, options as unknown as Parameters<typeof addFastPath>[1])
      await inTurns([empty, ours], warmUpRuns, run)
      const [nothing, costs] = (await inTurns([empty, ours], rounds, run)) as [number[], number[]]
      const us = (values: number[]) => `${median(values).toFixed(1)} µs (least ${Math.min(...values).toFixed(1)})`
      const more = us(costs.map((cost, i) => cost - nothing[i]!))
      return `A request takes ${us(costs)}, ${more} more than parsing its JSON and sending a response.
Node ${process.version}, medians of ${rounds} runs of ${ofARun} requests.`
    } finally {
      await service.finish()
      await service.close()
    }
  },
})

await runMain(requestCost, 'request-cost', process.argv.slice(2))

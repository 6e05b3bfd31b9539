import { parentPort, workerData } from 'node:worker_threads'
import { median } from '../../../base/arrays.ts'
import { createCollector } from '../../../base/collect-garbage.ts'
import { setThreadPriority } from '../../../base/process.ts'
import type { Batch, Engine, LoadedGraph, Outputs, TakeTurn } from '../../contracts/engine.ts'
import { createEngine } from '../create.ts'
import { RowGatherer } from '../memory.ts'
import {
  type Computed,
  packError,
  type WorkerNotice,
  type WorkerReply,
  type WorkerRequest,
  type WorkerSettings,
} from './protocol.ts'

/*
 * A worker thread of an engine pool: computes one call at a time, so that computing never blocks the main
 * thread's event loop. A graph is loaded in several turns, with calls in between.
 */

const settings = workerData as WorkerSettings
const graphs = new Map<number, LoadedGraph & { gatherer: RowGatherer }>()
let engine: Engine | undefined
let last: Promise<unknown> = Promise.resolve()

const takeTurn: TakeTurn = (work) => {
  const done = last.then(work)
  last = done.catch(() => undefined)
  return done
}

/**
 * Where there are fewer cores than threads, the main thread comes first: it rejects immediately what would be too late,
 * and feeds the others.
 */
const workerPriority = 10

/** Runs of which `measure` takes the median. */
const measuredRuns = 9

setThreadPriority(workerPriority)

parentPort?.on('message', (message: WorkerRequest | WorkerNotice) => {
  if (message.type === 'add-slab') graphs.get(message.graph)?.gatherer.add(message.slab)
  // Calls that were asked for before may still read it.
  else if (message.type === 'remove-slab') takeTurn(async () => removeSlab(message.graph, message.slab))
  // Takes turns of its own.
  else if (message.type === 'load') answer(message)
  else takeTurn(() => answer(message))
})

/** Removed memory that is worth a collection of this thread's garbage, bytes: V8 does not count what threads share. */
const worthwhile = 32 * 2 ** 20

let collect: (() => void) | undefined
let removedBytes = 0

function removeSlab(graph: number, slab: number): void {
  removedBytes += graphs.get(graph)?.gatherer.remove(slab) ?? 0
  if (removedBytes < worthwhile) return
  removedBytes = 0
  collect ??= createCollector()
  collect()
}

/** Never rejects. */
async function answer(request: WorkerRequest): Promise<void> {
  const { id } = request
  const reply: WorkerReply = await perform(request).then(
    (value) => ({ id, value }),
    (error) => ({ id, error: packError(error) }),
  )
  parentPort?.postMessage(reply)
}

async function perform(request: WorkerRequest): Promise<unknown> {
  // Ends this thread alone, while no native code runs in it.
  if (request.type === 'stop') process.exit()
  engine ??= await createEngine(settings.engine, settings.threads)
  switch (request.type) {
    case 'start':
      return engine.name
    case 'load': {
      // Asked twice where the graph was being loaded everywhere while this worker replaced another.
      let graph = graphs.get(request.graph)
      if (graph === undefined) {
        const loaded = await engine.load(request.source, takeTurn)
        graph = Object.assign(loaded, { gatherer: new RowGatherer(loaded.signature.inputs) })
        graphs.set(request.graph, graph)
      }
      return graph.signature
    }
    case 'run':
      return timed(() => loaded(request.graph).run(request.batch, request.wanted))
    case 'run-shared':
      return timed(() => {
        const graph = loaded(request.graph)
        return graph.run(graph.gatherer.gather(request.parts, request.about), request.wanted)
      })
    case 'measure':
      return measure(loaded(request.graph), request.batch, request.wanted)
    case 'overlay':
      return graphs.get(request.graph)?.setOverlay?.(request.overlay)
    case 'reset':
      return graphs.get(request.graph)?.reset?.()
    case 'recount':
      return graphs.get(request.graph)?.recount?.()
    case 'stats':
      return graphs.get(request.graph)?.stats?.()
    case 'unload': {
      const graph = graphs.get(request.graph)
      graphs.delete(request.graph)
      await graph?.close()
      return undefined
    }
  }
}

function loaded(id: number): LoadedGraph & { gatherer: RowGatherer } {
  const graph = graphs.get(id)
  if (graph === undefined) throw new Error('the graph is not loaded')
  return graph
}

async function timed(run: () => Promise<Outputs>): Promise<Computed> {
  const started = performance.now()
  const outputs = await run()
  return { outputs, seconds: (performance.now() - started) / 1000 }
}

async function measure(graph: LoadedGraph, batch: Batch, wanted: string[]): Promise<number> {
  const seconds: number[] = []
  for (let i = 0; i < measuredRuns; i++) {
    seconds.push((await timed(() => graph.run(batch, wanted))).seconds)
  }
  return median(seconds)
}

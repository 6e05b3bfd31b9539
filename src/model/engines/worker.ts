import { parentPort, workerData } from 'node:worker_threads'
import { createEngine } from './create.ts'
import type { Engine, LoadedGraph } from './engine.ts'
import { packError, type WorkerReply, type WorkerRequest, type WorkerSettings } from './messages.ts'

/*
 * A worker thread of an engine pool: computes one call at a time, so that computing never blocks the event loop of the
 * thread that answers requests.
 */

const settings = workerData as WorkerSettings
const graphs = new Map<number, LoadedGraph>()
let engine: Engine | undefined
let last: Promise<void> = Promise.resolve()

parentPort?.on('message', (request: WorkerRequest) => {
  last = last.then(async () => parentPort?.postMessage(await answer(request)))
})

async function answer(request: WorkerRequest): Promise<WorkerReply> {
  try {
    return { id: request.id, value: await perform(request) }
  } catch (error) {
    return { id: request.id, error: packError(error) }
  }
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
      const graph = graphs.get(request.graph) ?? (await engine.load(request.source))
      graphs.set(request.graph, graph)
      return graph.signature
    }
    case 'run': {
      const graph = graphs.get(request.graph)
      if (graph === undefined) throw new Error('the graph is not loaded')
      return graph.run(request.batch, request.wanted)
    }
    case 'reset':
      return graphs.get(request.graph)?.reset?.()
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

import { ModelError } from '../../../base/errors.ts'
import {
  addStats,
  type Batch,
  type CallListener,
  type GraphSource,
  type GraphStats,
  type Outputs,
} from '../../contracts/engine.ts'
import { SharedRows } from '../memory.ts'
import { openSmallGraph } from '../small/small-graph.ts'
import type { EnginePool, EnginePoolOptions, LoadedWhere, PooledGraph } from './engine-pool.ts'
import type { PoolWorker, Run } from './pool-worker.ts'
import type { Computed, WorkerSettings, WorkerTask } from './protocol.ts'
import { WorkerSupervisor } from './supervisor.ts'
import { WorkerLostError } from './worker-client.ts'

/**
 * Starts worker threads that each hold every loaded graph; a call goes to the least busy one.
 *
 * A worker that dies is replaced. The call that it computed is rejected with WorkerLostError; calls that it had not
 * begun go to another worker. Rejects with ENGINE_UNAVAILABLE where the engine can't work.
 */
export async function createEnginePool(options: EnginePoolOptions): Promise<EnginePool> {
  const settings: WorkerSettings = { engine: options.engine, threads: 1 }
  const supervisor = new WorkerSupervisor(options, settings)
  const start = () => supervisor.start()
  const names = await Promise.all(Array.from({ length: options.workers }, start)).catch(async (error) => {
    await supervisor.close()
    throw error
  })
  let nextGraph = 0
  return {
    engine: names[0] ?? 'none',
    size: options.workers,
    load: (source, where = 'in_all') => loadPooled(supervisor, nextGraph++, source, where),
    openSmall: openSmallGraph,
    stats: () => ({
      workers: options.workers,
      alive: supervisor.workers.size,
      replaced: supervisor.replaced,
      lost: supervisor.lost,
    }),
    close: () => supervisor.close(),
  }
}

async function loadPooled(
  supervisor: WorkerSupervisor,
  graph: number,
  source: GraphSource,
  where: LoadedWhere,
): Promise<PooledGraph> {
  try {
    const [signature] = await supervisor.load(graph, source, where)
    // The next one takes its place soon.
    if (signature === undefined) throw new ModelError('ENGINE_UNAVAILABLE', 'no worker is alive', { transient: true })
    const rows = new SharedRows(signature.inputs, {
      added: (slab) => supervisor.notify({ type: 'add-slab', graph, slab }),
      removed: (slab) => supervisor.notify({ type: 'remove-slab', graph, slab }),
    })
    const held = supervisor.graphs.get(graph)
    if (held) held.rows = rows
    return {
      signature,
      run: (batch, wanted, listener) => run(supervisor, taskOf(graph, batch, wanted), listener),
      allocate: (count) => rows.allocate(count),
      measure: (batch, wanted) =>
        supervisor.callOne(
          graph,
          ({ client }) => client.call({ type: 'measure', graph, batch, wanted }) as Promise<number>,
        ),
      setOverlay: (overlay) => supervisor.setOverlay(graph, overlay),
      stats: async () => sumStats((await supervisor.callAll(graph, 'stats')) as (GraphStats | undefined)[]),
      reset: async () => {
        await supervisor.callAll(graph, 'reset')
      },
      recount: async () => {
        await supervisor.callAll(graph, 'recount')
      },
      spread: () => supervisor.spread(graph),
      close: () => supervisor.unload(graph),
    }
  } catch (error) {
    await supervisor.unload(graph)
    throw error
  }
}

type RunTask = Extract<WorkerTask, { type: 'run' | 'run-shared' }>

function taskOf(graph: number, batch: Batch, wanted: string[]): RunTask {
  const { shared: parts, tenants, alike } = batch
  if (parts === undefined) return { type: 'run', graph, batch, wanted }
  return { type: 'run-shared', graph, parts, about: { tenants, alike }, wanted }
}

async function run(supervisor: WorkerSupervisor, task: RunTask, listener?: CallListener): Promise<Outputs> {
  for (;;) {
    const run: Run = { graph: task.graph, begun: false, listener }
    try {
      return await supervisor.callOne(task.graph, (worker) => compute(worker, task, run))
    } catch (error) {
      // A call that the worker had not begun did not kill it: another worker takes it.
      if (run.begun || !(error instanceof WorkerLostError)) throw error
    }
  }
}

async function compute(worker: PoolWorker, task: RunTask, run: Run): Promise<Outputs> {
  worker.runs.add(run)
  try {
    const { outputs, seconds } = (await worker.client.call(task)) as Computed
    run.listener?.took?.(seconds)
    worker.runs.shift()
    return outputs
  } catch (error) {
    if (!(error instanceof WorkerLostError)) worker.runs.shift()
    throw error
  }
}

function sumStats(all: (GraphStats | undefined)[]): GraphStats | undefined {
  const counted = all.filter((stats) => stats !== undefined)
  return counted.length === 0 ? undefined : counted.reduce(addStats)
}

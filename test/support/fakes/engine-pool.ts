import type { Batch, GraphSource, Outputs, Signature } from '../../../src/model/contracts/engine.ts'
import type { EnginePool, PooledGraph } from '../../../src/model/engines/pool/engine-pool.ts'

export interface FakePoolOptions {
  signature: Signature
  size?: number
  /** Stands in for an output's values. Default: `fakeOutput`. */
  compute?(batch: Batch, output: string, width: number): Float32Array
}

export interface FakeEnginePool extends EnginePool {
  /** Loads and runs that the pool was asked for, in order. */
  readonly loads: GraphSource[]
  readonly runs: { rows: number; wanted: string[] }[]
  /** Graphs loaded and not closed. */
  readonly open: number
}

/** An engine pool that computes at once, in this thread, a known function of each row. */
export function createFakeEnginePool({ signature, size = 2, compute = fakeOutput }: FakePoolOptions): FakeEnginePool {
  const loads: GraphSource[] = []
  const runs: { rows: number; wanted: string[] }[] = []
  const open = new Set<PooledGraph>()
  return {
    engine: 'fake',
    size,
    loads,
    runs,
    get open() {
      return open.size
    },
    async load(source) {
      loads.push(source)
      const graph: PooledGraph = {
        signature,
        async run(batch, wanted): Promise<Outputs> {
          runs.push({ rows: batch.rows, wanted })
          const widths = new Map(signature.outputs.map(({ name, width }) => [name, width]))
          return Object.fromEntries(wanted.map((name) => [name, compute(batch, name, widths.get(name)!)]))
        },
        stats: async () => undefined,
        reset: async () => undefined,
        recount: async () => undefined,
        async close() {
          open.delete(graph)
        },
      }
      open.add(graph)
      return graph
    },
    stats: () => ({ workers: size, alive: size, replaced: 0 }),
    async close() {
      open.clear()
    },
  }
}

/** [rows, width] in (0, 1): depends on every value of the row, on its place, on the output's name and on the column. */
export function fakeOutput({ rows, inputs }: Batch, output: string, width: number): Float32Array {
  const values = new Float32Array(rows * width)
  for (let row = 0; row < rows; row++) {
    let sum = output.length
    for (const tensor of Object.values(inputs)) {
      const columns = tensor.length / rows
      for (let column = 0; column < columns; column++) sum += tensor[row * columns + column]! * (column + 1)
    }
    for (let column = 0; column < width; column++) values[row * width + column] = 0.5 + Math.sin(sum + column) / 2.5
  }
  return values
}

import type { Manifest } from '../../schemas/manifest.ts'
import type { Batcher } from '../batching/batcher.ts'
import type { PooledGraph } from '../engines/pool.ts'
import { ModelError, reasonOf } from '../errors.ts'
import type { Encoder } from '../features/encoder.ts'
import { plainBatch, portsOf, toBatch } from './inputs.ts'
import type { LoadOptions } from './model.ts'

/** Tries each field's largest id: one that no table holds would else be found by the first request that has it. */
export async function checkLargestIds(manifest: Manifest, encoder: Encoder, graph: PooledGraph): Promise<void> {
  const { sparse, dense } = encoder.layout
  if (sparse.length === 0) return
  const row = Int32Array.from(sparse, ({ largest }) => largest)
  const batch = toBatch(manifest, { rows: 1, sparse: row, dense: new Float32Array(dense.length) })
  await graph.run(batch, [portsOf(manifest).probabilities]).catch((cause) => {
    const { name, version } = manifest
    const message = `${name}/${version}/${manifest.graph.file} doesn't fit its manifest: the largest ids of its fields (${row.join(', ')}) can't be computed: ${reasonOf(cause)}`
    throw new ModelError('INVALID_BUNDLE', message, { cause })
  })
}

/** Runs every power of two up to the batch limit in every worker, so that no client is the first to meet a size. */
export async function warm(
  manifest: Manifest,
  encoder: Encoder,
  graph: PooledGraph,
  batcher: Batcher,
  options: LoadOptions,
): Promise<void> {
  for (let rows = 1; ; rows = Math.min(rows * 2, options.maxBatchRows)) {
    const batch = plainBatch(manifest, encoder, rows)
    const started = options.clock.now()
    await Promise.all(
      Array.from({ length: options.pool.size }, () => graph.run(batch, [portsOf(manifest).probabilities])),
    )
    batcher.seed(rows, 1, (options.clock.now() - started) / 1000)
    if (rows === options.maxBatchRows) return
  }
}

import { median } from '../../../base/arrays.ts'
import { isTransient, ModelError, reasonOf } from '../../../base/errors.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { Precision } from '../../contracts/compiled-plan.ts'
import type { Batch } from '../../contracts/engine.ts'
import type { PooledGraph } from '../../engines/pool/engine-pool.ts'
import type { Batcher } from '../batching/batcher.ts'
import type { Encoder } from '../features/encoder.ts'
import { bindingsOf, plainBatch, toBatch } from './bindings.ts'
import type { LoadOptions } from './loaded-model.ts'
import type { WarmUpRows } from './recent-rows.ts'

/** Tries a version with rows of its own. Rejects with INVALID_BUNDLE for what requests would meet otherwise. */
export async function tryRows(
  manifest: Manifest,
  encoder: Encoder,
  graph: PooledGraph,
  precision: Precision = 'float32',
): Promise<void> {
  await checkLargestIds(manifest, encoder, graph)
  await checkIndependence(manifest, encoder, graph, tolerances[precision])
}

/** Tries each field's largest id: one that no table holds would else be found by the first request that has it. */
async function checkLargestIds(manifest: Manifest, encoder: Encoder, graph: PooledGraph): Promise<void> {
  const { sparse, dense } = encoder.layout
  if (sparse.length === 0) return
  const row = Int32Array.from(sparse, ({ largest }) => largest)
  const batch = toBatch(manifest, { rows: 1, sparse: row, dense: new Float32Array(dense.length) })
  await graph.run(batch, [bindingsOf(manifest).probabilities]).catch((cause) => {
    // A thread that died says nothing about the version.
    if (isTransient(cause)) throw cause
    const { name, version } = manifest
    const message = `${name}/${version}/${manifest.graph.file} doesn't fit its manifest: the largest ids of its fields (${row.join(', ')}) can't be computed: ${reasonOf(cause)}`
    throw new ModelError('INVALID_BUNDLE', message, { cause })
  })
}

/**
 * A row's answer may differ so much by its batch-mates, and by what computes it: float32 sums in another order, and of
 * the variants of a plan in bfloat16 each rounds other values, or none where ONNX Runtime is faster.
 */
const tolerances: Record<Precision, number> = { float32: 1e-3, int8: 1e-3, bfloat16: 0.05 }

const differ = (a: number, b: number, tolerance: number) =>
  !Object.is(a, b) && !(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a)))

/** Two rows that differ in every column. */
function twoRows({ layout: { sparse, dense } }: Encoder): { sparse: number[]; dense: number[] }[] {
  return [
    { sparse: sparse.map(({ plain }) => plain), dense: dense.map(() => 0) },
    { sparse: sparse.map(({ largest }) => largest), dense: dense.map((_, column) => 1 + (column % 7)) },
  ]
}

function batchOf(manifest: Manifest, rows: ReturnType<typeof twoRows>): Batch {
  return toBatch(manifest, {
    rows: rows.length,
    sparse: Int32Array.from(rows.flatMap((row) => row.sparse)),
    dense: Float32Array.from(rows.flatMap((row) => row.dense)),
  })
}

/** Whether another way to compute a graph answers as its workers do. */
export async function answersAlike(
  manifest: Manifest,
  encoder: Encoder,
  graph: PooledGraph,
  compute: (batch: Batch) => Float32Array,
): Promise<boolean> {
  const { probabilities } = bindingsOf(manifest)
  const batch = batchOf(manifest, twoRows(encoder))
  const expected = (await graph.run(batch, [probabilities]))[probabilities]!
  const answers = compute(batch)
  return answers.every((value, i) => !differ(value, expected[i]!, tolerances.float32))
}

/**
 * Asks two different rows together and each by itself: an answer that depends on a row's batch-mates would be another
 * request's doing. Throws INVALID_BUNDLE for that, for an output that isn't as many rows as were asked, and where
 * neither answer is a number.
 */
async function checkIndependence(
  manifest: Manifest,
  encoder: Encoder,
  graph: PooledGraph,
  tolerance: number,
): Promise<void> {
  const { probabilities } = bindingsOf(manifest)
  const rows = twoRows(encoder)
  const ask = async (asked: typeof rows): Promise<Float32Array> =>
    (await graph.run(batchOf(manifest, asked), [probabilities]))[probabilities]!.slice()
  const wrong = (message: string) =>
    new ModelError('INVALID_BUNDLE', `${manifest.name}/${manifest.version}/${manifest.graph.file}: ${message}`)
  const together = await ask(rows)
  const alone = [...(await ask([rows[0]!])), ...(await ask([rows[1]!]))]
  if (together.length !== alone.length)
    throw wrong(`it answers two rows with ${together.length} numbers, and each by itself with ${alone.length}`)
  if (alone.every((value) => Number.isNaN(value))) throw wrong('it answers NaN: are its weights numbers?')
  const differs = alone.findIndex((value, i) => differ(value, together[i]!, tolerance))
  if (differs >= 0)
    throw wrong(
      `its answer for a row depends on the other rows of the batch: ${alone[differs]} by itself, ${together[differs]} beside another`,
    )
}

/**
 * Runs every power of two up to the batch limit in every worker, so that no client is the first to meet a size. One
 * worker at a time: the others go on with what clients ask.
 */
export async function warm(
  manifest: Manifest,
  encoder: Encoder,
  graph: PooledGraph,
  batcher: Batcher,
  options: LoadOptions,
): Promise<void> {
  for (let rows = 1; ; rows = Math.min(rows * 2, options.maxBatchRows)) {
    const batch = plainBatch(manifest, encoder, rows)
    const seconds: number[] = []
    for (let worker = 0; worker < options.pool.size; worker++) {
      const started = options.clock.now()
      await graph.run(batch, [bindingsOf(manifest).probabilities])
      seconds.push((options.clock.now() - started) / 1000)
    }
    batcher.seed(rows, 1, median(seconds))
    if (rows === options.maxBatchRows) return
  }
}

/**
 * Times that each request is repeated for every worker: a candidate is cached when a worker sees it for the second
 * time.
 */
const repeats = 2

/** Longest time that rows of clients are repeated, ms. */
const longestRepeat = 2000

/**
 * Repeats the rows of another version's last requests, which fill the candidate caches too. One request at a time, with
 * pauses as long as each took: it uses at most half of a worker. Requests that fail are left out.
 */
export async function warmByRows(
  manifest: Manifest,
  requests: readonly WarmUpRows[],
  batcher: Batcher,
  { clock, pool }: Pick<LoadOptions, 'clock' | 'pool'>,
): Promise<void> {
  const wanted = [bindingsOf(manifest).probabilities]
  const ends = clock.now() + longestRepeat
  for (let round = 0; round < repeats * pool.size; round++)
    for (const rows of requests) {
      const started = clock.now()
      if (started >= ends) return
      await batcher.submit({ batch: toBatch(manifest, rows), wanted, deadline: ends }).outputs.catch(() => undefined)
      await new Promise<void>((resolve) => clock.after(clock.now() - started, resolve))
    }
}

import { PerformanceObserver } from 'node:perf_hooks'
import { systemClock } from '../../src/base/clock.ts'
import { createEnginePool } from '../../src/model/engines/pool/pool.ts'
import { loadModel } from '../../src/model/serving/prediction/model.ts'
import { readBundle } from '../../src/model/serving/version/read-version.ts'
import { readTensors } from '../../src/server/body/read-tensors.ts'
import { writeAnswer } from '../../src/server/protocols/predict/predict-answer.ts'
import { until } from './until.ts'

/*
 * A child process, run with --expose-gc and a young generation that holds all there is: says how many bytes of
 * JavaScript memory and of array buffers a request takes from its body to its answer, once all is warm.
 */

const [models = '', rowsText = '1'] = process.argv.slice(2)
const rows = Number(rowsText)
const requests = 500

const pool = await createEnginePool({ engine: 'onnx', workers: 1 })
const limits = { maxBatchRows: 256, maxDelayMs: 0, maxQueueRows: 10_000, maxRequestRows: 1000 }
const model = await loadModel(await readBundle(models, 'ads', '1'), { pool, clock: systemClock, ...limits })
const sparse = Array.from({ length: rows }, () => model.encoder.layout.sparse.map(({ offset }) => offset))
const dense = Array.from({ length: rows }, (_, row) => model.encoder.layout.dense.map(() => row / 7))
const body = Buffer.from(JSON.stringify({ sparse, dense }))

async function ask(): Promise<number> {
  const { sparse, dense } = readTensors(body)!
  const pending = model.predict({ rows: { form: 'tensors', sparse, dense }, deadline: systemClock.now() + 60_000 })
  return writeAnswer({ model: 'ads', version: '1', request_id: 'r' }, await pending.table, 'rows').length
}

/** When each collection began, ms. */
const collections: number[] = []
new PerformanceObserver((list) => {
  for (const { startTime } of list.getEntries()) collections.push(startTime)
}).observe({ entryTypes: ['gc'] })
/** Collects all, and resolves when this and every earlier collection has been observed. */
async function collect(): Promise<void> {
  const now = performance.now()
  global.gc!()
  await until(() => collections.some((began) => began >= now))
}
for (let i = 0; i < 2000; i++) await ask()
await collect()
const began = performance.now()
const before = process.memoryUsage()
for (let i = 0; i < requests; i++) await ask()
const after = process.memoryUsage()
const ended = performance.now()
await collect()
console.log(
  JSON.stringify({
    collections: collections.filter((at) => at >= began && at < ended).length,
    heapBytes: (after.heapUsed - before.heapUsed) / requests,
    bufferBytes: (after.arrayBuffers - before.arrayBuffers) / requests,
  }),
)
await model.close()
await pool.close()

import { resolve } from 'node:path'
import { encoderOf } from '../src/model/serving/features/encoder.ts'
import { readBundle } from '../src/model/serving/version/read-version.ts'
import { createQueries, toBody, toInferRequest } from './bodies.ts'
import { runClosedLoop } from './closed-loop.ts'
import { startMultigate } from './targets.ts'

/*
 * `node build/loadtest/infer.js [seconds] [rows] [model] [version]`: compares the same tensors as JSON to `POST
 * /predict` and as bytes to `POST /v2/models/{model}/infer`, in three alternating runs.
 */

const [seconds = '5', rows = '100', model = 'ads-funnel', version = '1'] = process.argv.slice(2)
const models = resolve('models')
const connections = 32
const bodies = 640
const repeats = 3

const { manifest } = await readBundle(models, model, version)
const encoder = encoderOf(manifest)
const draw = createQueries(manifest.features, 7)
const queries = Array.from({ length: bodies }, () => draw(Number(rows)))
const forms = {
  'JSON, /predict': queries.map((query) => toBody(query, 'tensors', encoder, { model })),
  'bytes, /v2/…/infer': queries.map((query) => toInferRequest(query, manifest, encoder)),
}

const target = await startMultigate(models, model)
try {
  for (let repeat = 0; repeat <= repeats; repeat++) {
    for (const [form, bodies] of Object.entries(forms)) {
      const result = await runClosedLoop(target, { bodies, connections, seconds: repeat === 0 ? 1 : Number(seconds) })
      const { requestsPerSecond, p50, p99, cpuMs, errors } = result
      if (repeat > 0)
        console.log(
          `${form.padEnd(20)} ${requestsPerSecond.toFixed(0).padStart(6)} requests/s, p50 ${p50.toFixed(1)} ms, ` +
            `p99 ${p99.toFixed(1)} ms, ${cpuMs.toFixed(3)} ms CPU each, ${errors} errors`,
        )
    }
  }
} finally {
  await target.stop()
}

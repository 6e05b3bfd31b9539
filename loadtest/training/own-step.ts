// Takes training steps on generated rows, and prints rows per second, and per second of processor time:
//   node own-step.js <network> <batch> <threads> <seconds>

import type { ModelShape } from '../../src/model/graph/architectures/layers.ts'
import { createRandom } from '../../src/tools/data/random.ts'
import { createArchitecture } from '../../src/tools/train/network/layers-network.ts'
import { makeTrainingStep } from '../../src/tools/train/network/make-training-step.ts'
import { shareFloats, shareIntegers } from '../../src/tools/train/threads/shared.ts'
import { createTrainer } from '../../src/tools/train/threads/trainer.ts'
import { type BenchNetwork, type NetworkName, networks, optionsOf } from './networks.ts'

const rows = 32_768
const [name, batch, threads, seconds] = process.argv.slice(2) as [NetworkName, string, string, string]
const { denseFields, ids, tasks, ...rest } = networks[name] as BenchNetwork
const fields = rest.sparseFields
const { max = 0, dims = [] } = rest.history ?? {}
const sparseFields = fields + max
const network = createArchitecture(optionsOf(networks[name]), shapeOf())
const terms = tasks.map((_, task) => ({ factors: [task] }))
const plan = await makeTrainingStep(await network.open(), { terms, orderPenalty: 0, uncertainty: false })

const random = createRandom(1)
// The last id is that of padding.
const known = max > 0 ? ids - 1 : ids
const sparse = shareIntegers(rows * sparseFields).map(() => random.integer(known))
for (let row = 0; max > 0 && row < rows; row++)
  sparse.fill(known, row * sparseFields + fields + random.integer(max + 1), (row + 1) * sparseFields)
const dense = shareFloats(rows * denseFields).map(() => random.normal())
const examples = {
  rows,
  sparse: shareIntegers(sparse.length),
  dense: shareFloats(dense.length),
  sparseFields,
  denseFields,
}
examples.sparse.set(sparse)
examples.dense.set(dense)
const labels = () => new Int8Array(new SharedArrayBuffer(rows)).map(() => random.integer(2))
const trainer = await createTrainer({
  ...{ plan, threads: Number(threads), largestStep: Number(batch), rates: { learningRate: 0.001 }, seed: 1 },
  examples: { ...examples, terms: terms.map(() => ({ labels: labels(), weights: undefined })) },
  values: network.values,
  termWeights: terms.map(() => 1),
  unknown: { share: 0, ids: new Int32Array(sparseFields).fill(-1) },
  signal: new AbortController().signal,
})
const bounds = Array.from({ length: rows / Number(batch) }, (_, i) => ({
  start: i * Number(batch),
  end: (i + 1) * Number(batch),
}))
const order = Int32Array.from({ length: rows }, (_, row) => row)
let [steps, begun, epochs] = [0, 0, 0]
let used = process.cpuUsage()
// The first epoch warms up.
for (let epoch = 1; epochs === 0 || performance.now() - begun < Number(seconds) * 1000; epoch++) {
  if (epoch === 2) {
    begun = performance.now()
    used = process.cpuUsage()
  }
  await trainer.epoch({ epoch, order, bounds, stepsBefore: steps }, () => undefined)
  steps += bounds.length
  if (epoch > 1) epochs++
}
const wall = (performance.now() - begun) / 1e3
const { user, system } = process.cpuUsage(used)
console.log((epochs * rows) / wall, (epochs * rows * 1e6) / (user + system))
await trainer.close()

function shapeOf(): ModelShape {
  const count = (length: number) => Array.from({ length }, (_, i) => i)
  const shape = { sparseFields, denseFields, ids, tasks, seed: 1 }
  if (max === 0) return shape
  const sides = {
    sparse: count(sparseFields).map(() => 'cross' as const),
    dense: count(denseFields).map(() => 'cross' as const),
  }
  const compared = [{ ids: fields, target: 0 }]
  const mask = { column: fields, padding: ids - 1 }
  const history = {
    name: 'history',
    side: 'cross' as const,
    max,
    mask,
    compared,
    more: [],
    options: { attention: 'din' as const, dims },
  }
  return {
    ...shape,
    sides,
    groups: { ids: count(fields), numbers: count(denseFields), vectors: [], lists: [], sequences: [history] },
  }
}

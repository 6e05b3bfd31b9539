// Takes training steps on generated rows, and prints rows per second, and per second of processor time:
//   node own-step.js <network> <batch> <threads> <seconds>
import { createRandom } from '../../src/tools/data/random.ts'
import { createArchitecture } from '../../src/tools/train/network/layers-network.ts'
import { makeTrainingStep } from '../../src/tools/train/network/make-training-step.ts'
import { shareFloats, shareIntegers } from '../../src/tools/train/threads/shared.ts'
import { createTrainer } from '../../src/tools/train/threads/trainer.ts'
import { type NetworkName, networks, optionsOf } from './networks.ts'

const rows = 32_768
const [name, batch, threads, seconds] = process.argv.slice(2) as [NetworkName, string, string, string]
const { sparseFields, denseFields, ids, tasks } = networks[name]
const network = createArchitecture(optionsOf(networks[name]), { sparseFields, denseFields, ids, tasks, seed: 1 })
const terms = tasks.map((_, task) => ({ factors: [task] }))
const plan = await makeTrainingStep(await network.open(), { terms, orderPenalty: 0, uncertainty: false })

const random = createRandom(1)
const sparse = shareIntegers(rows * sparseFields).map(() => random.integer(ids))
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

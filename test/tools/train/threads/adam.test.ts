import t from 'tap'
import { createRandom } from '../../../../src/tools/data/random.ts'
import { adam, createAdamMemory, stepScale } from '../../../../src/tools/train/threads/adam.ts'
import { createTableUpdates } from '../../../../src/tools/train/threads/create-table-updates.ts'

/** Adam as in Kingma and Ba's Algorithm 1, in float64. */
function reference(w: number, gradients: readonly number[], rate: number): number {
  let [m, v] = [0, 0]
  gradients.forEach((g, i) => {
    m = adam.beta1 * m + (1 - adam.beta1) * g
    v = adam.beta2 * v + (1 - adam.beta2) * g * g
    const [first, second] = [m / (1 - adam.beta1 ** (i + 1)), v / (1 - adam.beta2 ** (i + 1))]
    w -= (rate * first) / (Math.sqrt(second) + adam.epsilon)
  })
  return w
}

const random = createRandom(4)
const size = 20
const start = Float32Array.from({ length: size }, () => random.normal())
const gradients = Array.from({ length: 7 }, () => Float32Array.from({ length: size }, () => random.normal()))
const expected = start.map((w, i) =>
  reference(
    w,
    gradients.map((g) => g[i]!),
    0.1,
  ),
)
const near = (found: Float32Array, wanted: Float32Array) =>
  found.every((value, i) => Math.abs(value - wanted[i]!) < 1e-5)

t.test('a step is that of the paper, and leaves the rest alone', async (t) => {
  const memory = createAdamMemory(size + 3)
  memory.weights.set(start)
  memory.weights.fill(9, size)
  gradients.forEach((values, i) => {
    memory.gradients.fill(1)
    memory.gradients.set(values)
    memory.step(size, stepScale({ learningRate: 0.1 }, i + 1))
  })
  t.ok(near(memory.weights.subarray(0, size), expected))
  t.same([...memory.weights.subarray(size)], [9, 9, 9])
  t.throws(() => memory.step(3, stepScale({ learningRate: 0.1 }, 1)), RangeError)
  t.throws(() => memory.step(size + 8, stepScale({ learningRate: 0.1 }, 1)), RangeError)
})

/** Adam has none. */
const decayed = new Float64Array()

t.test('only the rows of a table that a batch reads are stepped, alike on any number of threads', async (t) => {
  const width = 4
  const table = { name: 'table', rows: size / width, width, trained: true, l2: 0, adagrad: undefined }
  for (const threads of [1, 2, 3]) {
    const memory = { values: start.slice(), first: new Float32Array(size), second: new Float32Array(size), decayed }
    const updates = Array.from({ length: threads }, (_, thread) => createTableUpdates(table, memory, thread, threads))
    gradients.forEach((values, step) => {
      for (const update of updates) {
        update.sums.begin()
        // Half of each row's gradient from one place and half from another; row 2 is never read.
        for (const part of [0, 1]) {
          const ids = Int32Array.of(3, 0, 4, 1)
          const rows = new Float32Array(ids.length * width)
          for (const [i, id] of ids.entries()) {
            const own = values.subarray(id * width, (id + 1) * width)
            rows.set(
              own.map((g) => g * (part ? 0.75 : 0.25)),
              i * width,
            )
          }
          update.sums.add(ids, rows)
        }
        update.step(stepScale({ learningRate: 0.1 }, step + 1))
      }
    })
    const read = (values: Float32Array) => values.filter((_, i) => Math.floor(i / width) !== 2)
    t.ok(near(read(memory.values), read(expected)), `${threads} threads`)
    t.same(memory.values.subarray(8, 12), start.subarray(8, 12))
    t.ok(memory.first.subarray(8, 12).every((value) => value === 0))
  }
})

t.test('a penalty pulls all rows towards zero, each by one thread', async (t) => {
  const table = { name: 'table', rows: 3, width: 1, trained: true, l2: 1, adagrad: undefined }
  const memory = { values: Float32Array.of(1, 1, 1), first: new Float32Array(3), second: new Float32Array(3), decayed }
  const updates = [0, 1].map((thread) => createTableUpdates(table, memory, thread, 2))
  const steps = Array.from({ length: 30 }, (_, i) => i + 1)
  for (const step of steps)
    for (const update of updates) {
      update.sums.begin()
      update.sums.add(Int32Array.of(1), Float32Array.of(5))
      update.step(stepScale({ learningRate: 0.01 }, step))
    }
  // By hand: without a row of the batch the gradient is 2·w alone.
  let [w, m, v] = [1, 0, 0]
  for (const step of steps) {
    const { rate, scale } = stepScale({ learningRate: 0.01 }, step)
    m += (2 * w - m) * (1 - adam.beta1)
    v += (4 * w * w - v) * (1 - adam.beta2)
    w -= (rate * m) / (Math.sqrt(v) * scale + adam.epsilon)
  }
  t.ok(Math.abs(memory.values[0]! - w) < 1e-5)
  t.equal(memory.values[0], memory.values[2])
  t.ok(memory.values[1]! < memory.values[0]!)
})

t.test('more rows than expected find room', async (t) => {
  const table = { name: 'table', rows: 5000, width: 2, trained: true, l2: 0, adagrad: undefined }
  const memory = {
    values: new Float32Array(10000),
    first: new Float32Array(10000),
    second: new Float32Array(10000),
    decayed,
  }
  const updates = createTableUpdates(table, memory, 0, 1)
  updates.sums.begin()
  updates.sums.add(
    Int32Array.from({ length: 5000 }, (_, i) => i),
    new Float32Array(10000).fill(1),
  )
  updates.step(stepScale({ learningRate: 0.1 }, 1))
  t.ok(memory.values.every((value) => Math.abs(value + 0.1) < 1e-6))
})

t.test('learning rates rise, fall by half a cosine, and pull matrices towards zero', async (t) => {
  const factor = (rates: object, step: number) => stepScale({ learningRate: 0.1, ...rates }, step).factor
  t.same(
    [1, 2, 4, 9].map((step) => factor({ warmUp: 4 }, step)),
    [0.25, 0.5, 1, 1],
  )
  t.equal(factor({ cosine: 10 }, 1), 1)
  t.ok(Math.abs(factor({ cosine: 10 }, 6) - 0.5) < 1e-12)
  t.ok(Math.abs(factor({ cosine: 10 }, 11)) < 1e-12)
  t.equal(factor({}, 1000), 1)
  t.equal(stepScale({ learningRate: 0.1, weightDecay: 0.5, warmUp: 2 }, 1).kept, 1 - 0.05 * 0.5)
  t.equal(stepScale({ learningRate: 0.1 }, 1).kept, 1)
})

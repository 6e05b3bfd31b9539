import t from 'tap'
import { createRandom } from '../../../../src/tools/data/random.ts'
import { stepScale } from '../../../../src/tools/train/threads/adam.ts'
import { createTableUpdates } from '../../../../src/tools/train/threads/create-table-updates.ts'

const [rows, width, rate, steps] = [7, 4, 0.3, 40]

interface Case {
  l2: number
  groups: number
  threads: number
  /** Steps of an epoch. */
  epoch: number
}

/** Row-wise Adagrad in float64, in which every step changes every row. */
function eager(start: Float32Array, read: readonly Map<number, number[]>[], { l2, groups }: Case): Float64Array {
  const values = Float64Array.from(start)
  const squares = new Float64Array(rows * groups)
  const size = width / groups
  const stepOf = (row: number, group: number) => rate / (Math.sqrt(squares[row * groups + group]!) + 1e-8)
  for (const batch of read) {
    for (let row = 0; row < rows; row++)
      for (let j = 0; j < width; j++) values[row * width + j]! *= Math.exp(-2 * l2 * stepOf(row, Math.floor(j / size)))
    for (const [row, gradient] of batch)
      for (let group = 0; group < groups; group++) {
        const own = gradient.slice(group * size, (group + 1) * size)
        squares[row * groups + group]! += own.reduce((sum, g) => sum + g * g, 0) / size
        for (const [j, g] of own.entries()) values[row * width + group * size + j]! -= stepOf(row, group) * g
      }
  }
  return values
}

for (const [i, one] of [
  { l2: 0, groups: 1, threads: 1, epoch: 40 },
  { l2: 0, groups: 4, threads: 2, epoch: 40 },
  { l2: 0.01, groups: 1, threads: 1, epoch: 40 },
  { l2: 0.01, groups: 2, threads: 3, epoch: 8 },
].entries())
  t.test(`the same as if every step changed every row: ${JSON.stringify(one)}`, async (t) => {
    const random = createRandom(i + 1)
    const { l2, groups, threads, epoch } = one
    const start = Float32Array.from({ length: rows * width }, () => random.normal())
    const read = Array.from({ length: steps }, () => {
      const batch = new Map<number, number[]>()
      // Row 6 is never read; with a penalty it goes to 0.
      for (let row = 0; row < rows - 1; row++)
        if (random.uniform() < 1 / (row + 1))
          batch.set(
            row,
            Array.from({ length: width }, () => random.normal()),
          )
      return batch
    })
    const table = { name: 'table', rows, width, trained: true, l2, adagrad: { rate, groups } }
    const memory = { values: start.slice(), first: new Float32Array(), second: new Float32Array(rows * groups) }
    const updates = Array.from({ length: threads }, (_, thread) => createTableUpdates(table, memory, thread, threads))
    read.forEach((batch, step) => {
      const scale = stepScale({ learningRate: 0.1 }, step + 1)
      for (const update of updates) {
        if (step % epoch === 0) update.begin(step)
        update.sums.begin()
        update.sums.add(Int32Array.from(batch.keys()), Float32Array.from([...batch.values()].flat()))
        update.step(scale, step + 1)
        if ((step + 1) % epoch === 0) update.end(scale, step + 1)
      }
    })
    const expected = eager(start, read, one)
    t.ok(
      memory.values.every((value, j) => Math.abs(value - expected[j]!) < 1e-4),
      `${memory.values} ${expected}`,
    )
    t.ok(
      memory.values
        .subarray((rows - 1) * width)
        .every((value, j) => value === (l2 > 0 ? 0 : start[(rows - 1) * width + j])),
    )
  })

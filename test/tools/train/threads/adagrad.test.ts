import t from 'tap'
import { createRandom } from '../../../../src/tools/data/random.ts'
import type { TrainingStep } from '../../../../src/tools/train/network/training-step.ts'
import { stepScale } from '../../../../src/tools/train/threads/adam.ts'
import { createTableUpdates } from '../../../../src/tools/train/threads/create-table-updates.ts'
import { rowDecayOf } from '../../../../src/tools/train/threads/row-decay.ts'
import { RowReader } from '../../../../src/tools/train/threads/row-reader.ts'

const [rows, width, rate, steps] = [7, 4, 0.3, 40]
const rates = { learningRate: 0.1, warmUp: 4, cosine: steps }

interface Case {
  l2: number
  groups: number
  threads: number
  /** Steps of an epoch. */
  epoch: number
}

/** A row of a batch, and its gradient as a function of its values. */
type Batch = Map<number, (values: ArrayLike<number>) => number[]>

/** Row-wise Adagrad in float64, in which every step changes every row that was read once. */
function eager(start: Float32Array, read: readonly Batch[], { l2, groups }: Case): Float64Array {
  const values = Float64Array.from(start)
  const squares = new Float64Array(rows * groups)
  const size = width / groups
  for (const [i, batch] of read.entries()) {
    const { factor } = stepScale(rates, i + 1)
    for (let row = 0; row < rows; row++) {
      const gradient = batch.get(row)?.(values.subarray(row * width, (row + 1) * width))
      for (let group = 0; group < groups; group++) {
        const own = gradient?.slice(group * size, (group + 1) * size) ?? []
        squares[row * groups + group]! += own.reduce((sum, g) => sum + g * g, 0) / size
        const total = squares[row * groups + group]!
        if (total === 0) continue
        const step = (factor * rate) / (Math.sqrt(total) + 1e-8)
        for (let j = 0; j < size; j++) {
          const at = row * width + group * size + j
          values[at] = values[at]! * Math.exp(-2 * l2 * step) - step * (own[j] ?? 0)
        }
      }
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
      const batch: Batch = new Map()
      // Row 6 is never read.
      for (let row = 0; row < rows - 1; row++) {
        if (random.uniform() > 1 / (row + 1)) continue
        const targets = Array.from({ length: width }, () => random.normal())
        batch.set(row, (values) => targets.map((target, j) => values[j]! - target))
      }
      return batch
    })
    const table = { name: 'table', rows, width, trained: true, l2, adagrad: { rate, groups } }
    const memory = {
      values: start.slice(),
      first: new Float32Array(),
      second: new Float32Array(rows * groups),
      decayed: new Float64Array(rows),
    }
    const decay = rowDecayOf(table, memory)
    const updates = Array.from({ length: threads }, (_, thread) =>
      createTableUpdates(table, memory, thread, threads, decay),
    )
    const plan = { tables: [table], lookUps: [{ table: 0, input: 'rows', indexes: 'ids', dims: [], gradient: 'g' }] }
    const reader = new RowReader(plan as unknown as TrainingStep, [memory], undefined, rows, [decay], threads === 1)
    read.forEach((batch, i) => {
      const ids = Int32Array.from(batch.keys())
      const seen = reader.read(ids.length, [ids]).rows!.data as Float32Array
      const gradients = [...batch.values()].flatMap((of, slot) => of(seen.subarray(slot * width, (slot + 1) * width)))
      const scale = stepScale(rates, i + 1)
      for (const update of updates) {
        if (i % epoch === 0) update.begin()
        update.sums.begin()
        update.sums.add(ids, Float32Array.from(gradients))
        update.step(scale)
      }
      if (decay) decay.elapsed += scale.factor
      if ((i + 1) % epoch === 0) for (const update of updates) update.end()
    })
    const expected = eager(start, read, one)
    t.ok(
      memory.values.every((value, j) => Math.abs(value - expected[j]!) < 1e-4),
      `${memory.values} ${expected}`,
    )
    t.ok(memory.values.subarray((rows - 1) * width).every((value, j) => value === start[(rows - 1) * width + j]))
  })

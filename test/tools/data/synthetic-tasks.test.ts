import t from 'tap'
import type { Cell } from '../../../src/tools/data/source.ts'
import { createSyntheticTasks, signal } from '../../../src/tools/data/synthetic-tasks.ts'

const options = {
  generator: 'synthetic-tasks',
  rows: 20_000,
  skip: 0,
  seed: 3,
  dim: 20,
  correlation: 0.6,
  sines: 10,
} as const

function generate(changes: object = {}): number[][] {
  const rows = createSyntheticTasks({ ...options, ...changes }).rows() as Iterable<readonly Cell[]>
  return Array.from(rows, (row) => [...(row as number[])])
}

const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length
const product = (a: number[], b: number[]) => mean(a.map((x, i) => x * b[i]!))

t.test('rows depend on the options alone', async (t) => {
  t.same(generate({ rows: 30 }), generate({ rows: 30 }))
  t.same(generate({ rows: 30 }), generate({ rows: 60 }).slice(0, 30), 'more rows continue the same ones')
  t.same(generate({ rows: 10, skip: 20 }), generate({ rows: 30 }).slice(20))
  t.not(JSON.stringify(generate({ rows: 5 })), JSON.stringify(generate({ rows: 5, seed: 4 })))
  t.equal(createSyntheticTasks(options).columns.length, 22)
})

t.test('without sines, targets are directions of the correlation asked for', async (t) => {
  for (const correlation of [-1, 0, 0.6, 1]) {
    const rows = generate({ sines: 0, correlation })
    const [y1, y2] = [rows.map((row) => row[20]!), rows.map((row) => row[21]!)]
    t.ok(Math.abs(product(y1, y1) - 1.01) < 0.05, 'length 1, noise of variance 0.01')
    t.ok(Math.abs(product(y1, y2) - correlation) < 0.04)
    // E[x_i·y_k] is element i of w_k.
    const directions = [y1, y2].map((y) =>
      Array.from({ length: 20 }, (_, i) =>
        product(
          rows.map((row) => row[i]!),
          y,
        ),
      ),
    )
    const cosine = directions[0]!.reduce((sum, w, i) => sum + w * directions[1]![i]!, 0)
    t.ok(Math.abs(cosine - correlation) < 0.05)
  }
})

t.test('targets are the sum of the projection and of sines', async (t) => {
  t.equal(signal(0.3, 0), 0.3)
  t.ok(Math.abs(signal(0.3, 2) - (0.3 + Math.sin(0.3) + Math.sin(0.6 + 1))) < 1e-12)
  // With one input of weight all but 1, it is the projection: dim 2, and both tasks equal.
  const equal = generate({ correlation: 1, rows: 2000 }).map((row) => row[20]! - row[21]!)
  t.ok(Math.abs(product(equal, equal) - 0.02) < 0.003, 'they differ by their noise alone')
})

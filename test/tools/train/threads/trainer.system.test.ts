import t, { type Test } from 'tap'
import type { ArchitectureOptions } from '../../../../src/schemas/architecture.ts'
import { createRandom } from '../../../../src/tools/data/random.ts'
import { openTrainer, type TrainedRows, type TrainerSetup } from '../../../support/trainer.ts'

const options = {
  name: 'shared_bottom',
  dim_emb: 2,
  embedding_l2: 0,
  num_hidden_shared: 2,
  dim_hidden_shared: 4,
  dropout_shared: 0,
  num_hidden_tasks: 2,
  dim_hidden_tasks: 4,
  dropout_tasks: 0,
} satisfies ArchitectureOptions
const shape = { sparseFields: 2, denseFields: 1, ids: 5, tasks: ['a', 'b'], seed: 1 }
/** Without hidden layers there is no batch normalisation: training and inference answer the same. */
const flat = { num_hidden_shared: 1, num_hidden_tasks: 1 }

const rows: TrainedRows = {
  sparse: Int32Array.of(0, 3, 1, 4, 2, 3, 0, 4),
  dense: Float32Array.of(0.5, -1, 2, 0),
  labels: [Int8Array.of(1, 0, 1, 0), Int8Array.of(1, -1, 0, -1)],
}
const create = (t: Test, changes: Partial<typeof options> = {}, setup: Partial<TrainerSetup> = {}) =>
  openTrainer(t, { architecture: { ...options, ...changes }, shape, rows, ...setup })

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z))
const entropy = (p: number, label: number) => -Math.log(label ? p : 1 - p)
const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
const close = (found: number, wanted: number) => Math.abs(found - wanted) < 1e-5

t.test("the loss is each task's mean over its sample space, weighted", async (t) => {
  const terms = [
    { factors: [0], weight: 2 },
    { factors: [1], weight: 0.5 },
  ]
  const { logits, step } = await create(t, flat, { terms })
  const p = (await logits()).map(sigmoid)
  const a = mean([0, 1, 2, 3].map((row) => entropy(p[row * 2]!, rows.labels[0]![row]!)))
  const b = mean([0, 2].map((row) => entropy(p[row * 2 + 1]!, rows.labels[1]![row]!)))
  t.ok(close(await step(), 2 * a + 0.5 * b))
})

t.test('the entire space: the loss of a product, over all rows that have its label', async (t) => {
  const terms = [
    { factors: [0], weight: 1 },
    { factors: [1, 0], weight: 3 },
  ]
  const { logits, step } = await create(t, flat, { terms })
  const p = (await logits()).map(sigmoid)
  const a = mean([0, 1, 2, 3].map((row) => entropy(p[row * 2]!, rows.labels[0]![row]!)))
  // The product's label is 0 where the first task's is.
  const both = [1, 0, 0, 0].map((label, row) => entropy(p[row * 2]! * p[row * 2 + 1]!, label))
  t.ok(close(await step(), a + 3 * mean(both)))
})

t.test('the order penalty is the mean excess of a task over the one before it', async (t) => {
  const plain = await create(t, flat)
  const penalised = await create(t, flat, { orderPenalty: 0.6 })
  const p = (await plain.logits()).map(sigmoid)
  const excess = mean([0, 1, 2, 3].map((row) => Math.max(0, p[row * 2 + 1]! - p[row * 2]!)))
  t.ok(excess > 0)
  t.ok(close((await penalised.step()) - (await plain.step()), 0.6 * excess))
})

t.test('uncertainty weighs terms by what it learns, and starts with equal weights', async (t) => {
  const plain = await create(t, flat, { learningRate: 0.05 })
  const uncertain = await create(t, flat, { uncertainty: true, learningRate: 0.05 })
  t.ok(close(await uncertain.step(), await plain.step()))
  for (let i = 0; i < 60; i++) await uncertain.step()
  const { weights } = await uncertain.trainer.read()
  const place = uncertain.plan.parameters.find(({ name }) => name === 'loss/log_variance')!
  const learnt = weights.subarray(place.offset, place.offset + place.size)
  t.ok(
    learnt.every((value) => value < -0.1),
    `${learnt}: easy tasks become certain`,
  )
})

t.test('a task without rows in the step adds nothing', async (t) => {
  const none = Int8Array.of(-1, -1, -1, -1)
  const { step } = await create(t, {}, { rows: { ...rows, labels: [none, none] } })
  t.equal(await step(), 0)
})

t.test('the embedding table is penalised, rows that are not read too', async (t) => {
  const { step, trainer } = await create(t, { embedding_l2: 10 })
  const squares = async () => (await trainer.read()).tables[0]!.values.reduce((sum, x) => sum + x * x, 0)
  const before = await squares()
  for (let i = 0; i < 50; i++) await step()
  t.ok((await squares()) < before / 2)
})

t.test('an id without a row in its table is named', async (t) => {
  const { step } = await create(t, {}, { rows: { ...rows, sparse: Int32Array.of(0, 3, 1, 7, 2, 3, 0, 4) } })
  await t.rejects(step(), { message: 'the table embedding/embeddings has 5 rows, and none of id 7' })
})

t.test('learns, moves the statistics of batch normalisation, and goes back', async (t) => {
  const { step, trainer, logits, plan } = await create(t, {}, { learningRate: 0.05 })
  const read = await trainer.read()
  const before = {
    ...read,
    tables: read.tables.map(({ values, first, second }) => ({
      values: values.slice(),
      first: first.slice(),
      second: second.slice(),
    })),
  }
  const answered = await logits()
  const first = await step()
  for (let i = 0; i < 100; i++) await step()
  t.ok((await step()) < first / 4)
  const after = await trainer.read()
  t.equal(plan.statistics.length, 6)
  for (const { name, offset } of plan.statistics) t.not(before.weights[offset], after.weights[offset], name)
  await trainer.write(before)
  t.same(await logits(), answered)
})

t.test('extreme logits keep the loss finite', async (t) => {
  for (const terms of [
    undefined,
    [
      { factors: [0], weight: 1 },
      { factors: [1, 0], weight: 1 },
    ],
  ]) {
    const { step, trainer } = await create(t, flat, terms ? { terms } : {})
    const state = await trainer.read()
    state.weights.fill(100)
    await trainer.write(state)
    t.ok(Number.isFinite(await step()))
    state.weights.fill(Number.NaN)
    await trainer.write(state)
    t.ok(Number.isNaN(await step()), 'a loss that is none is noticed')
  }
})

/** More rows, so that threads have a part each. */
function manyRows(count = 64): TrainedRows {
  const random = createRandom(2)
  const label = () => Int8Array.from({ length: count }, () => random.integer(3) - 1)
  return {
    sparse: Int32Array.from({ length: count * 2 }, () => random.integer(5)),
    dense: Float32Array.from({ length: count }, () => random.normal()),
    labels: [label(), label()],
  }
}

t.test(
  'dropout draws a new mask at each step, which follows from the seed, not from the number of threads',
  async (t) => {
    const losses = async (threads: number, seed = 1) => {
      const rows = manyRows()
      const { step } = await create(t, { dropout_shared: 0.5, normalisation: 'none' } as object, {
        rows,
        threads,
        seed,
        learningRate: 1e-12,
      })
      const values: number[] = []
      for (let i = 0; i < 6; i++) values.push(await step())
      return values
    }
    const values = await losses(1)
    t.same(values, await losses(1))
    t.ok(new Set(values.map((value) => value.toFixed(4))).size > 2, `${values}`)
    t.notSame(values, await losses(1, 2))
    for (const [i, value] of (await losses(3)).entries()) t.ok(close(value, values[i]!), `step ${i + 1}`)
  },
)

t.test('threads together take the steps that one takes, and always the same ones', async (t) => {
  const trained = async (threads: number) => {
    const setup = { rows: manyRows(), threads, learningRate: 0.01 }
    const { step, trainer } = await create(t, { normalisation: 'none', embedding_l2: 0.01 } as object, setup)
    for (let i = 0; i < 10; i++) await step()
    const { weights, tables } = await trainer.read()
    return [...weights, ...tables[0]!.values]
  }
  const one = await trained(1)
  const [two, again, three] = [await trained(2), await trained(2), await trained(3)]
  t.same(two, again, 'bit for bit')
  for (const several of [two, three]) t.ok(several.every((value, i) => Math.abs(value - one[i]!) < 1e-4))
})

t.test('with batch normalisation, threads share the statistics of their parts', async (t) => {
  const { step, trainer, plan } = await create(t, {}, { rows: manyRows(), threads: 2 })
  for (let i = 0; i < 5; i++) t.ok(Number.isFinite(await step()))
  const { weights } = await trainer.read()
  for (const { offset, size } of plan.statistics)
    t.ok(weights.subarray(offset, offset + size).every((value) => Number.isFinite(value)))
})

t.test('ends while its threads compute, and rejects with the reason', async (t) => {
  for (let i = 0; i < 8; i++) {
    const controller = new AbortController()
    const setup = { rows: manyRows(20_000), threads: 2, signal: controller.signal }
    const { step } = await create(t, {}, setup)
    setTimeout(() => controller.abort(new Error('enough')), i * 3)
    const endless = async () => {
      for (;;) await step()
    }
    await t.rejects(endless(), { message: 'enough' })
  }
})

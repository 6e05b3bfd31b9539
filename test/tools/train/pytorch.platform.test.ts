import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ModelShape } from '../../../src/model/graph/architectures/layers.ts'
import type { ArchitectureOptions } from '../../../src/schemas/architecture.ts'
import type { Place } from '../../../src/tools/train/network/training-step.ts'
import type { Term } from '../../../src/tools/train/terms.ts'
import type { StepBounds } from '../../../src/tools/train/threads/protocol.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { openTrainer, type TrainerSetup } from '../../support/trainer.ts'

/*
 * Training beside PyTorch's: the same networks, weights, rows and steps. PyTorch's results are kept in
 * test/fixtures/pytorch, by train_architectures.py there, so that PyTorch need not be installed.
 */

interface Kept {
  rate: number
  shape: Pick<ModelShape, 'sparseFields' | 'denseFields' | 'ids' | 'sides'>
  /** For cases with `groups`, as are the rows of lists. */
  listShape: Kept['shape']
  /** `labels`: per task. */
  rows: {
    lists: { sparse: number[][]; dense: number[][] }
    sparse: number[][]
    dense: number[][]
    labels: number[][]
    weights: number[]
  }
  cases: Record<string, KeptCase>
}

interface KeptCase {
  tasks: string[]
  terms: Term[]
  orderPenalty: number
  uncertainty: boolean
  weighted: boolean
  architecture: ArchitectureOptions
  /** Rate of row-wise Adagrad on tables; default: Adam. */
  adagrad?: number
  rates?: NonNullable<TrainerSetup['rates']>
  /** Start and end of each step's rows, all in one epoch; default: epochs of one step on all rows. */
  turns?: [number, number][]
  bins?: NonNullable<ModelShape['bins']>
  tables?: NonNullable<ModelShape['tables']>
  groups?: NonNullable<ModelShape['groups']>
  /** Before each step. */
  losses: number[]
  /** In inference, before and after all steps. */
  logits: [string, string]
  /** Weights whose gradient is zero but for rounding. */
  still: string[]
  weights: Record<string, { dims: number[]; before: string; after: string }>
}

/** Tests run from build/test/tools/train/. */
const fixtures = join(import.meta.dirname, '../../../../test/fixtures/pytorch')
const kept: Kept = JSON.parse(await readFile(join(fixtures, 'train_architectures.json'), 'utf8'))

const floats = (packed: string) => new Float32Array(Uint8Array.from(Buffer.from(packed, 'base64')).buffer)
const difference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  a.length === b.length ? Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!))) : Number.NaN
/** Ours is float32, PyTorch's float64. */
const closest = 1e-5

for (const [title, one] of Object.entries(kept.cases))
  t.test(title, async (t) => {
    const { trainer, network, plan, logits, epoch } = await open(t, one)
    const places = [...plan.parameters, ...plan.statistics]
    const trainable = Object.keys(one.weights).filter((name) => !/\/moving_|^loss\//.test(name))
    t.same(network.names.toSorted(), trainable.toSorted(), 'weights have the same names')

    const start = await trainer.read()
    for (const place of places) part(start.weights, place).set(floats(one.weights[place.name]!.before))
    plan.tables.forEach(({ name }, i) => {
      start.tables[i]!.values.set(floats(one.weights[name]!.before))
    })
    await trainer.write(start)
    t.ok(difference(await logits(), floats(one.logits[0])) < closest, 'the same logits before')
    for (const [i, { bounds, loss }] of epochsOf(one).entries()) {
      const ours = await epoch(bounds)
      t.ok(Math.abs(ours - loss) < closest * loss, `epoch ${i + 1}: loss ${ours}, PyTorch's ${loss}`)
      await putBack()
    }

    const { weights, tables } = await trainer.read()
    for (const place of places) expectWeight(place.name, part(weights, place))
    plan.tables.forEach(({ name }, i) => {
      expectWeight(name, tables[i]!.values)
    })
    t.ok(difference(await logits(), floats(one.logits[1])) < 10 * closest, 'the same logits after')

    /** Adam enlarges what float32 rounds in a gradient of zero; normalisations' means would follow. */
    async function putBack() {
      const state = await trainer.read()
      for (const place of places)
        if (one.still.includes(place.name)) part(state.weights, place).set(part(start.weights, place))
      await trainer.write(state)
    }

    function expectWeight(name: string, ours: Float32Array) {
      const found = difference(ours, floats(one.weights[name]!.after))
      t.ok(found < closest, `${name} differs by ${found}`)
    }
  })

const part = (weights: Float32Array, { offset, size }: Place) => weights.subarray(offset, offset + size)

/** The steps of each epoch, and the mean of their losses, by rows. */
function epochsOf({ turns, losses }: KeptCase): { bounds: StepBounds[]; loss: number }[] {
  if (turns === undefined) return losses.map((loss) => ({ bounds: [{ start: 0, end: kept.rows.sparse.length }], loss }))
  const bounds = turns.map(([start, end]) => ({ start, end }))
  const sum = (of: (step: number) => number) =>
    bounds.reduce((total, { start, end }, step) => total + of(step) * (end - start), 0)
  return [{ bounds, loss: sum((step) => losses[step]!) / sum(() => 1) }]
}

function open(t: Test, one: KeptCase) {
  const { tasks, terms, orderPenalty, uncertainty, weighted, architecture, adagrad, rates, bins, tables, groups } = one
  const { rows, rate } = kept
  const shape = groups ? kept.listShape : kept.shape
  const { sparse, dense } = groups ? rows.lists : rows
  return openTrainer(t, {
    ...{ architecture, terms, orderPenalty, uncertainty, learningRate: rate },
    ...(adagrad && { adagrad }),
    ...(rates && { rates }),
    shape: { ...shape, tasks, tables, groups, bins: bins?.map((edges) => edges ?? undefined), seed: 1 },
    rows: {
      sparse: Int32Array.from(sparse.flat()),
      dense: Float32Array.from(dense.flat()),
      labels: tasks.map((_, task) => Int8Array.from(rows.labels[task]!)),
      ...(weighted && { weights: Float32Array.from(rows.weights) }),
    },
  })
}

t.test('every architecture is compared', async (t) => {
  const { architectureNames } = await import('../../../src/model/graph/architectures/table.ts')
  const compared = new Set(Object.values(kept.cases).map(({ architecture }) => architecture.name))
  t.same([...compared].sort(), [...architectureNames].sort())
})

const python = ['python3', '/usr/bin/python3'].find(
  (command) => spawnSync(command, ['-c', 'import torch']).status === 0,
)

t.test('PyTorch computes what is kept', { skip: python === undefined && 'PyTorch is not installed' }, async (t) => {
  const file = join(await temporaryFolder(t), 'now.json')
  const { status, stderr } = spawnSync(python!, [join(fixtures, 'train_architectures.py'), file], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
  const now: Kept = JSON.parse(await readFile(file, 'utf8'))
  t.same({ ...now.shape, ...now.rows }, { ...kept.shape, ...kept.rows })
  t.same(Object.keys(now.cases), Object.keys(kept.cases))
  for (const [title, { losses, logits, weights, ...rest }] of Object.entries(now.cases)) {
    const before = kept.cases[title]!
    t.match(before, rest, title)
    t.ok(difference(losses, before.losses) < 1e-6, `${title}: losses`)
    t.ok(difference(floats(logits[1]), floats(before.logits[1])) < 1e-5, `${title}: logits`)
    t.same(Object.keys(weights), Object.keys(before.weights))
    for (const [name, { after }] of Object.entries(weights))
      t.ok(difference(floats(after), floats(before.weights[name]!.after)) < 1e-6, `${title}: ${name}`)
  }
})

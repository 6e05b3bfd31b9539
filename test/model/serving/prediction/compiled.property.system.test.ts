// The compiler's law, on the whole way from a query to its answer: for random models of every architecture, random
// requests, random batching, a cold or a warm cache, any number of workers, answers equal those of the graph as saved.
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../../src/base/clock.ts'
import type { PlanCosts } from '../../../../src/model/contracts/compiled-plan.ts'
import type { EnginePool } from '../../../../src/model/engines/pool/engine-pool.ts'
import { createEnginePool } from '../../../../src/model/engines/pool/pool.ts'
import { buildArchitecture, graphOutputs } from '../../../../src/model/graph/architectures/build.ts'
import { sidesOf } from '../../../../src/model/graph/architectures/side-inputs.ts'
import { layersModelFiles, setWeights } from '../../../../src/model/graph/lower/layers/write-layers-model.ts'
import type { Bundle } from '../../../../src/model/serving/bundle/read.ts'
import { writeBundle } from '../../../../src/model/serving/bundle/write.ts'
import { createLayout } from '../../../../src/model/serving/features/layout.ts'
import type { LoadedModel } from '../../../../src/model/serving/prediction/loaded-model.ts'
import { loadModel } from '../../../../src/model/serving/prediction/model.ts'
import { readBundle } from '../../../../src/model/serving/version/read-version.ts'
import type { Features } from '../../../../src/schemas/features.ts'
import type { Manifest } from '../../../../src/schemas/manifest.ts'
import { temporaryFolder } from '../../../support/bundle.ts'
import { fc, randomCases, steadySeed as seed } from '../../../support/cases.ts'
import { Dice } from '../../../support/compile/dice.ts'
import { randomOptions } from '../../../support/random-architecture.ts'

const models = randomCases(40, 2)
const tolerance = 1e-5

const pools = await Promise.all([1, 2, 3].map((workers) => createEnginePool({ engine: 'onnx', workers })))
t.teardown(() => Promise.all(pools.map((pool) => pool.close())))

/** Fields of random kinds and sides; integers and hashes only, so that ids are known. */
function randomFeatures(dice: Dice): Features {
  const usual = dice.pick(['context', 'candidate', 'cross', undefined] as const)
  return Array.from({ length: dice.between(1, 9) }, (_, i) => {
    const side = usual !== undefined && dice.chance(0.4) ? usual : dice.pick(['context', 'candidate', 'cross'] as const)
    const numeric = { kind: 'numeric' as const, scaling: { method: 'none' as const } }
    const integer = { kind: 'integer' as const, size: dice.between(1, 12), out_of_vocabulary: 'error' as const }
    return { name: `f${i}`, side, missing: 'error' as const, ...(dice.chance(0.4) ? numeric : integer) }
  })
}

async function writeRandomBundle(root: string, dice: Dice): Promise<Bundle> {
  const features = randomFeatures(dice)
  const layout = createLayout(features)
  const tasks = ['ctr', 'cvr', 'pay'].slice(0, dice.between(1, 3))
  const sides = sidesOf(features)
  const [architecture] = fc.sample(randomOptions({ tasks, sides }), { numRuns: 1, seed: dice.below(2 ** 31) })
  const model = buildArchitecture(architecture!, {
    sides,
    sparseFields: layout.sparse.length,
    denseFields: layout.dense.length,
    ids: layout.ids,
    tasks,
    seed: dice.below(1000),
  })
  // Biases, normalisations and all. Not so large that float32 itself is no exacter than the law.
  setWeights(model, ({ name, shape }) => {
    const values = dice.floats(
      shape.reduce((size, side) => size * side, 1),
      0.6,
    )
    return name.includes('variance') ? values.map((value) => Math.abs(value) + 0.25) : values
  })
  const manifest: Omit<Manifest, 'files'> = {
    manifest: 1,
    name: 'ads',
    version: '1',
    architecture: architecture!,
    features,
    tasks: tasks.map((name) => ({ name })),
    derived: [],
    graph: {
      format: 'layers',
      file: 'model.json',
      inputs: {
        ...(layout.sparse.length > 0 ? { sparse: 'sparse' } : {}),
        ...(layout.dense.length > 0 ? { dense: 'dense' } : {}),
      },
      outputs: graphOutputs(architecture!, tasks),
    },
    precision: 'float32',
  }
  await writeBundle(join(root, 'ads', '1'), { manifest, files: layersModelFiles(model) }, { replace: true })
  return readBundle(root, 'ads', '1')
}

interface Row {
  sparse: number[]
  dense: number[]
}

/** Makes up requests: contexts and candidates that return, or new ones; sometimes a context by row. */
function createRequests({ manifest }: Bundle, dice: Dice): () => Row[] {
  const { sparse, dense } = createLayout(manifest.features)
  const sides = {
    sparse: manifest.features.filter(({ kind }) => kind !== 'numeric').map(({ side }) => side),
    dense: manifest.features.filter(({ kind }) => kind === 'numeric').map(({ side }) => side),
  }
  const extremes = [0, -0, 1e-30, -10, 10]
  const draw = (): Row => ({
    sparse: sparse.map(({ offset, ids }) => offset + dice.below(ids)),
    dense: dense.map(() => (dice.chance(0.1) ? dice.pick(extremes) : dice.next() * 4 - 2)),
  })
  const pool = Array.from({ length: dice.pick([2, 20, 200]) }, draw)
  const repeats = dice.next()
  const some = () => (dice.chance(repeats) ? dice.pick(pool) : draw())
  return () => {
    const byRow = dice.chance(0.2)
    const context = some()
    return Array.from({ length: dice.chance(0.5) ? dice.between(1, 4) : dice.between(1, 70) }, () => {
      const candidate = some()
      const cross = draw()
      const from = byRow ? { context: some(), candidate, cross } : { context, candidate, cross }
      return {
        sparse: sides.sparse.map((side, i) => from[side].sparse[i]!),
        dense: sides.dense.map((side, i) => from[side].dense[i]!),
      }
    })
  }
}

/** Whatever the graphs really cost, each way is gone by some rows. */
function randomCosts(dice: Dice): PlanCosts {
  const some = () => ({ a: dice.next(), b: dice.next() * dice.pick([1, 10, 100]) })
  const cost = () => ({ ...some(), joined: some() })
  const cheap = () => ({ a: dice.next() * 0.2, b: dice.next() * 5, joined: { a: dice.next() * 0.2, b: dice.next() } })
  return {
    full: cost(),
    shared_context: dice.pick([cost, cheap])(),
    candidate_encoder: cost(),
    cached: dice.pick([cost, cheap])(),
  }
}

async function ask(model: LoadedModel, rows: Row[]): Promise<Float32Array[]> {
  const { sparse, dense } = model.encoder.layout
  const table = await model.predict({
    rows: {
      form: 'tensors',
      sparse: sparse.length > 0 ? rows.map((row) => row.sparse) : undefined,
      dense: dense.length > 0 ? rows.map((row) => row.dense) : undefined,
    },
    deadline: systemClock.now() + 60_000,
  }).table
  return table.tasks.map(([, values]) => Float32Array.from(values))
}

function load(
  bundle: Bundle,
  pool: EnginePool,
  maxBatchRows: number,
  compiler?: { cache: string; candidateBytes: number; costs: PlanCosts },
) {
  return loadModel(bundle, {
    pool,
    clock: systemClock,
    maxBatchRows,
    maxDelayMs: 0,
    maxQueueRows: 100_000,
    maxRequestRows: 10_000,
    ...(compiler ? { compiler: { ...compiler, now: Date.now, onWarning: (message) => t.fail(message) } } : {}),
  })
}

/** Asks many at once, in bursts; answers where a compiled answer differs from the saved graph's. */
async function compare(saved: LoadedModel, compiled: LoadedModel, next: () => Row[], dice: Dice) {
  for (let burst = 0; burst < 6; burst++) {
    const requests = Array.from({ length: dice.between(1, 12) }, next)
    const expected = await Promise.all(requests.map((rows) => ask(saved, rows)))
    const actual = await Promise.all(requests.map((rows) => ask(compiled, rows)))
    for (const [i, tasks] of expected.entries())
      for (const [task, values] of tasks.entries())
        for (const [row, value] of values.entries()) {
          const other = actual[i]![task]![row]!
          if (!(Math.abs(value - other) <= tolerance))
            return `burst ${burst}, request ${i}, row ${row}, task ${task}: ${other}, not ${value}`
        }
  }
  return undefined
}

// Tried harder it takes longer.
t.setTimeout(3_600_000)

t.test(`answers of ${models} random models (seed ${seed}) are those of their saved graphs`, async (t) => {
  const [root, cache] = [await temporaryFolder(t), await temporaryFolder(t)]
  const rows = { exported: 0, full: 0, shared_context: 0, cached: 0 }
  let evictions = 0
  for (let model = 0; model < models; model++) {
    const dice = new Dice(seed * 1_000_003 + model + 5)
    const bundle = await writeRandomBundle(root, dice)
    const next = createRequests(bundle, dice)
    const options = () => [bundle, dice.pick(pools), dice.pick([1, 7, 64, 256])] as const
    const saved = await load(...options())
    // Twice: the second time the plan comes from the cache on disk, and candidates have to be learnt anew.
    for (const time of ['compiled', 'from the cache']) {
      const candidateBytes = dice.pick([0, 6_000, 20_000, 1_000_000])
      const compiled = await load(...options(), { cache, candidateBytes, costs: randomCosts(dice) })
      t.ok(compiled.plan.compiled, `model ${model} is compiled`)
      t.equal(await compare(saved, compiled, next, dice), undefined, `model ${model}, ${time}`)
      const stats = await compiled.graphStats()
      for (const name of Object.keys(rows) as (keyof typeof rows)[]) rows[name] += stats!.rows[name]
      evictions += stats!.cache.evictions
      await compiled.close()
    }
    await saved.close()
  }
  // The test says little where a way of computing was not taken.
  t.equal(rows.exported, 0)
  for (const way of ['full', 'shared_context', 'cached'] as const)
    t.ok(rows[way] > 0, `${rows[way]} rows went through ${way}`)
  t.comment(`${evictions} candidates made room for others`)
})

// Epochs of the tasks' own layers, after the shared ones' best.
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readLayersModel } from '../../../src/model/graph/lower/layers/layers-model.ts'
import { readSpec } from '../../../src/tools/data/read-spec.ts'
import type { FitObserver } from '../../../src/tools/train/fit.ts'
import { createArchitecture } from '../../../src/tools/train/network/layers-network.ts'
import { ownWeights } from '../../../src/tools/train/own-weights.ts'
import { openRunFolder } from '../../../src/tools/train/run-folder.ts'
import { train } from '../../../src/tools/train/train.ts'
import type { TrainOptions } from '../../../src/tools/train/train-options.ts'
import { temporaryFolder } from '../../support/bundle.ts'
import { specs, tinyCsv, tinySpec } from '../../support/tiny.ts'

const silent: FitObserver = { step() {}, epoch() {} }

/** Trains in a folder of its own; the wide part and the tables are the tasks' in common. */
async function trainTiny(folder: string, more: object, options: Partial<TrainOptions> = {}, other: object = {}) {
  const { architecture, training, ...rest } = tinySpec()
  const spec = {
    ...{ ...rest, architecture: { ...architecture, wide: true, wide_l2: 0.001 } },
    ...other,
    training: { ...training, epochs: 3, tables: 'adagrad', schedule: 'cosine', ...more },
  }
  await writeFile(join(folder, 'tiny.csv'), tinyCsv())
  await writeFile(join(folder, 'spec.json'), JSON.stringify(spec))
  const lines: string[] = []
  const { fitted } = await train(await readSpec(join(folder, 'spec.json'), specs), {
    ...{ models: join(folder, 'models'), force: false, threads: 1, from: undefined, run: undefined, resume: false },
    ...{ command: 'multigate train tiny', multigateVersion: '0.0.0', now: () => 0, brief: true },
    ...{ signal: new AbortController().signal, observer: silent, cache: process.env.MULTIGATE_CACHE },
    log: (line) => lines.push(line),
    ...options,
  })
  const { weights } = await readLayersModel(join(folder, 'models/tiny/1'), 'model.json')
  return { fitted, lines, weights }
}

const architecture = { name: 'multi_gate', dim_emb: 2, embedding_l2: 0, num_experts: 2 } as const
const hidden = { num_hidden_expert: 2, dim_hidden_expert: 3, dropout_expert: 0 }
const towers = { num_hidden_tasks: 2, dim_hidden_tasks: 2, dropout_tasks: 0 }
const shape = { sparseFields: 2, denseFields: 1, ids: 5, tasks: ['a', 'b'], seed: 1 }

t.test("gates and towers are a task's own, with a wide part or without", async (t) => {
  for (const wide of [false, true]) {
    const opened = await createArchitecture({ ...architecture, ...hidden, ...towers, wide }, shape).open()
    const { own, apart } = ownWeights(opened, 2)!
    t.notOk(apart)
    for (const [task, names] of ['a', 'b'].map((task, i) => [task, [...own[i]!]] as const)) {
      t.ok(names.includes(`gate_${task}/kernel`) && names.includes(`tower_${task}/output/bias`), `${names}`)
      t.ok(
        names.every((name) => /^(gate|tower)_/.test(name)),
        `${names}`,
      )
    }
  }
  // A constant that all read and nobody trains is not shared.
  const tables = Array.from({ length: 2 }, () => ({ ids: 5, dim: 2, l2: 0 }))
  for (const more of [{}, { bins: [[0, 1, 2]] }, { tables }]) {
    const options = { name: 'single_task', dim_emb: 2, embedding_l2: 0, ...towers } as const
    const opened = await createArchitecture(options, { ...shape, ...more }).open()
    t.ok(ownWeights(opened, 2)!.apart)
    t.equal(ownWeights(opened, 1), undefined)
  }
})

t.test('they go on, and shared layers stay as they were in their best epoch', async (t) => {
  const before = await trainTiny(await temporaryFolder(t), {})
  const after = await trainTiny(await temporaryFolder(t), { task_epochs: 4, patience: 4 })
  t.match(after.lines.join('\n'), /the shared weights keep epoch \d; each task goes on with its own, \d+ in all/)
  const { tasks } = after.fitted.kept
  t.ok(tasks && Math.max(...Object.values(tasks)) > 3, 'a task has a later epoch')
  t.equal(after.fitted.epochs, 7)
  t.same(after.fitted.history.slice(0, 3), before.fitted.history, 'the first part is the same')
  t.ok(after.fitted.kept.value < before.fitted.kept.value, 'on the validation rows it is better')
  const changed = [...before.weights].filter(
    ([name, { data }]) => !Buffer.from(data).equals(after.weights.get(name)!.data),
  )
  t.ok(changed.length > 0)
  for (const [name] of changed) t.match(name, /^(gate|tower)_/)
})

t.test('where tasks share nothing, they change nothing', async (t) => {
  const architecture = { name: 'single_task', dim_emb: 2, dims_tasks: [2] }
  const { fitted, lines } = await trainTiny(await temporaryFolder(t), { task_epochs: 4 }, {}, { architecture })
  t.match(lines.join('\n'), /task_epochs change nothing: single_task has no shared layers/)
  t.equal(fitted.epochs, 3)
})

t.test('a run that ends among them goes on, and ends with the same weights', async (t) => {
  const more = { task_epochs: 4, patience: 4 }
  const whole = await temporaryFolder(t)
  await trainTiny(whole, more)
  const folder = await temporaryFolder(t)
  const stop = new AbortController()
  const observer: FitObserver = { step() {}, epoch: ({ epoch }) => epoch === 5 && stop.abort(new Error('stopped')) }
  const run = () => openRunFolder(join(folder, 'run'))
  await t.rejects(trainTiny(folder, more, { run: await run(), signal: stop.signal, observer }), /stopped/)
  await trainTiny(folder, more, { run: await run(), resume: true })
  const weights = (folder: string) => readFile(join(folder, 'models/tiny/1/group1-shard1of1.bin'))
  t.ok((await weights(folder)).equals(await weights(whole)))
})

t.test('a version goes on by --from, its shared layers too', async (t) => {
  const folder = await temporaryFolder(t)
  await trainTiny(folder, {})
  const { readBundle } = await import('../../../src/model/serving/version/read-version.ts')
  const from = await readBundle(join(folder, 'models'), 'tiny', '1')
  const next = await temporaryFolder(t)
  await cp(join(folder, 'models/tiny/1'), join(next, 'former'), { recursive: true })
  const { lines, fitted } = await trainTiny(next, { task_epochs: 2 }, { from })
  t.match(lines.join('\n'), /the shared weights keep epoch/)
  t.ok(fitted.epochs > 3)
})

// Keras itself, of PyPI: what it saves is imported, and answers as it does; what is exported it loads, and answers as
// we do.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import type { ArchitectureOptions } from '../../../../src/schemas/architecture.ts'
import { exportModel } from '../../../../src/tools/convert/export-model.ts'
import { importModel } from '../../../../src/tools/convert/import-model.ts'
import { openKeras } from '../../../../src/tools/convert/keras/open-keras.ts'
import { testFeatures, writeTestBundle } from '../../../support/bundle.ts'
import { importOptions } from '../../../support/import-options.ts'
import { kerasPatience, kerasPython } from '../../../support/keras.ts'
import { noReference, readReference, referenceModels } from '../../../support/reference.ts'

t.setTimeout(kerasPatience)

interface Saved {
  file: string
  inputs: Record<string, number[][]>
  probabilities: number[][]
}

const towers = { num_hidden_tasks: 2, dim_hidden_tasks: 5, dropout_tasks: 0.1 }
// More than ten experts: HDF5 lists mlp_10 before mlp_2.
const experts = { num_experts: 11, num_hidden_expert: 3, dim_hidden_expert: 6, dropout_expert: 0.1 }
const embedding = { dim_emb: 3, embedding_l2: 0 }
const architectures: ArchitectureOptions[] = [
  {
    name: 'shared_bottom',
    ...embedding,
    num_hidden_shared: 2,
    dim_hidden_shared: 7,
    dropout_shared: 0,
    ...towers,
    num_hidden_tasks: 1,
  },
  { name: 'mixture_of_experts', ...embedding, ...experts, ...towers },
  { name: 'multi_gate', ...embedding, ...experts, ...towers },
  {
    name: 'aitm',
    ...embedding,
    num_hidden_tower: 2,
    dim_hidden_tower: 6,
    dropout_tower: 0.1,
    num_hidden_head: 2,
    dim_hidden_head: 4,
    dropout_proj_head: 0,
  },
]

const python = await kerasPython()

t.test('Keras 2 and 3', { skip: typeof python === 'string' ? python : false }, async (t) => {
  if (typeof python === 'string') return
  const folder = t.testdir()
  const works: ({ file: string } & Record<string, unknown>)[] = []
  const expected: number[][][] = []
  for (const architecture of architectures)
    for (const keras of [2, 3] as const) {
      if (architecture.name === 'aitm' && keras === 3) continue
      const name = `${architecture.name}-${keras}`
      const manifest = await writeTestBundle(folder, { name, architecture })
      const out = join(folder, `${name}.weights.h5`)
      await exportModel({
        target: name,
        models: folder,
        to: 'keras-weights',
        out,
        keras,
        force: false,
        signal: new AbortController().signal,
        progress: () => undefined,
      })
      const { rows, sparse, dense } = createEncoder(testFeatures).rows(undefined, manifest.golden!.rows, {
        maxRows: 1000,
        partial: false,
      })
      const ids = createEncoder(testFeatures).layout.ids
      works.push({
        keras,
        architecture,
        tasks: 2,
        ids,
        sparse: matrix(sparse, rows),
        dense: matrix(dense, rows),
        file: out,
      })
      expected.push(manifest.golden!.probabilities)
    }
  // The classes here stand for the reference's own: what those saved they load, and answer the same.
  const models = noReference ? [] : referenceModels
  const references = await Promise.all(models.map(readReference))
  for (const [i, { options, shape, batch, folder: path }] of references.entries()) {
    const keras = models[i]!.startsWith('keras2') ? 2 : 3
    const { sparse, dense } = batch.inputs as { sparse: Int32Array; dense: Float32Array }
    const parts = { sparse: matrix(sparse, batch.rows), dense: matrix(dense, batch.rows) }
    const file = join(path, 'model.weights.h5')
    works.push({ keras, architecture: options, tasks: shape.tasks.length, ids: shape.ids, ...parts, file })
    expected.push(matrix(references[i]!.probabilities, batch.rows))
  }
  const job = join(folder, 'job.json')
  await writeFile(job, JSON.stringify({ folder, weights: works }))
  const said = JSON.parse(await python.run('keras/work.py', [job]))

  t.test('load weights, those that are exported and those of the reference', async (t) => {
    for (const [i, { file }] of works.entries()) near(t, said.answers[i], expected[i]!, file)
  })

  for (const [name, saved] of Object.entries<Saved>(said.saved))
    t.test(`${name} is imported`, async (t) => {
      const golden = join(folder, `${name}.json`)
      await writeFile(golden, JSON.stringify(await tensors(saved)))
      const { manifest } = await importModel(importOptions(saved.file, folder, { name, golden }))
      t.same(manifest.golden?.probabilities, saved.probabilities)
    })
})

/** The inputs as the columns that an import takes them for: those that Keras named are called like their input. */
async function tensors({ file, inputs, probabilities }: Saved) {
  const { sparse, dense } = await openKeras(file, undefined)
  const value = (row: number, name: string) => {
    const [, input, index = '0'] = /^(.*?)(?:_(\d+))?$/.exec(name)!
    return (inputs[name] ?? inputs[input!] ?? Object.values(inputs)[0])![row]![Number(inputs[name] ? 0 : index)]!
  }
  const rows = (names: string[]) => probabilities.map((_, row) => names.map((name) => value(row, name)))
  return { sparse: rows(sparse.map(({ name }) => name)), dense: rows(dense), probabilities }
}

function matrix(values: Int32Array | Float32Array, rows: number): number[][] {
  const width = values.length / rows
  return Array.from({ length: rows }, (_, row) => [...values.subarray(row * width, (row + 1) * width)])
}

function near(t: Test, actual: number[][], expected: number[][], message: string) {
  const differences = expected.flatMap((row, i) => row.map((value, j) => Math.abs(value - actual[i]![j]!)))
  t.ok(Math.max(...differences) <= 1e-5, `${message}: ${Math.max(...differences)}`)
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildArchitecture } from '../../src/model/architectures/build.ts'
import { graphOutputs } from '../../src/model/architectures/outputs.ts'
import { writeBundle } from '../../src/model/bundle/write.ts'
import { prepareTensorFlow } from '../../src/model/engines/tensorflow/tensorflow-backend.ts'
import { createEncoder } from '../../src/model/features/encoder.ts'
import { layersModelFiles } from '../../src/model/lower/layers/write-layers-model.ts'
import type { ArchitectureOptions } from '../../src/schemas/architecture.ts'
import type { Features } from '../../src/schemas/features.ts'
import type { Manifest } from '../../src/schemas/manifest.ts'
import { openBuilt } from './layers-model.ts'

/** One field of every kind, on every side. */
export const testFeatures: Features = [
  {
    name: 'country',
    side: 'context',
    kind: 'vocabulary',
    values: ['DE', 'FR', 'US'],
    out_of_vocabulary: 'bucket',
    missing: { default: 'US' },
  },
  { name: 'hour', side: 'context', kind: 'integer', size: 24, out_of_vocabulary: 'error', missing: 'error' },
  { name: 'campaign', side: 'candidate', kind: 'hash', buckets: 50, seed: 7, missing: 'error' },
  { name: 'price', side: 'candidate', kind: 'numeric', scaling: { method: 'log1p', scale: 1 }, missing: 'error' },
  {
    name: 'views',
    side: 'cross',
    kind: 'numeric',
    scaling: { method: 'standard', mean: 2, deviation: 3 },
    missing: { default: 0 },
  },
]

export const multiGateOptions: ArchitectureOptions = {
  name: 'multi_gate',
  dim_emb: 4,
  embedding_l2: 0,
  num_experts: 3,
  num_hidden_expert: 2,
  dim_hidden_expert: 8,
  dropout_expert: 0,
  num_hidden_tasks: 2,
  dim_hidden_tasks: 8,
  dropout_tasks: 0,
}

export interface TestBundle {
  name?: string
  version?: string
  /** Different seeds, different answers. */
  seed?: number
  /** Factor of the weights that embed numbers; default: 1. */
  numberScale?: number
  architecture?: ArchitectureOptions
  /** Further files of the version, by name. */
  files?: Record<string, Uint8Array>
  /** Changes to the manifest before it is written. */
  manifest?: Partial<Manifest>
}

/** Writes a real, untrained model: tasks ctr and cvr, derived ctcvr, with golden rows of its own. Answers its manifest. */
export async function writeTestBundle(root: string, bundle: TestBundle = {}): Promise<Omit<Manifest, 'files'>> {
  const { name = 'ads', version = '1', seed = 1, numberScale = 1, architecture = multiGateOptions } = bundle
  const tensorFlow = await prepareTensorFlow('cpu')
  const { tf } = tensorFlow
  const features = bundle.manifest?.features ?? testFeatures
  const encoder = createEncoder(features)
  const { layout } = encoder
  const tasks = ['ctr', 'cvr']
  const built = buildArchitecture(architecture, {
    sparseFields: layout.sparse.length,
    denseFields: layout.dense.length,
    ids: layout.ids,
    tasks,
    seed,
  })
  const rows = [
    { country: 'DE', hour: 21, campaign: 'c9', price: 1.25 },
    { country: 'XX', hour: 0, campaign: 'c1', price: 0, views: 4 },
  ]
  const { sparse, dense } = encoder.rows(undefined, rows, { maxRows: 10, partial: false })
  if (numberScale !== 1) {
    const { data } = built.weights.get('dense_embedding/kernel')!
    const kernel = new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4)
    kernel.forEach((value, i) => {
      kernel[i] = value * numberScale
    })
  }
  const model = await openBuilt(tensorFlow, built)
  const answer = model.predict([
    tf.tensor2d(sparse, [rows.length, layout.sparse.length], 'int32'),
    tf.tensor2d(dense, [rows.length, layout.dense.length]),
  ])
  const probabilities = (Array.isArray(answer) ? answer[0]! : answer).arraySync() as number[][]
  const manifest: Omit<Manifest, 'files'> = {
    manifest: 1,
    name,
    version,
    architecture,
    features,
    tasks: [
      { name: 'ctr', description: 'Click' },
      { name: 'cvr', description: 'Conversion, given a click', calibration: { method: 'platt', a: 0.9, b: -0.3 } },
    ],
    derived: [{ name: 'ctcvr', product: ['ctr', 'cvr'] }],
    graph: {
      format: 'layers',
      file: 'model.json',
      inputs: { sparse: 'sparse', dense: 'dense' },
      outputs: graphOutputs(architecture, tasks),
    },
    precision: 'float32',
    golden: { rows, probabilities, tolerance: 1e-5 },
    ...bundle.manifest,
  }
  const files = { ...layersModelFiles(built), ...bundle.files }
  await writeBundle(join(root, name, version), { manifest, files }, { replace: true })
  return manifest
}

/** A folder that is gone when the test ends. */
export async function temporaryFolder(t: { teardown(callback: () => Promise<void>): void }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'multigate-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { graphOutputs } from '../../src/model/graph/architectures/build.ts'
import { writeBundle } from '../../src/model/serving/bundle/write.ts'
import type { ArchitectureOptions } from '../../src/schemas/architecture.ts'
import type { Features } from '../../src/schemas/features.ts'
import type { Manifest } from '../../src/schemas/manifest.ts'
import { type TestModel, testModel } from './test-model.ts'

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
  /** Golden rows, for other fields than the test's. */
  rows?: TestModel['rows']
  /** Further files of the version, by name. */
  files?: Record<string, Uint8Array>
  /** Changes to the manifest before it is written. */
  manifest?: Partial<Manifest>
}

/**
 * Writes a real, untrained model: tasks ctr and cvr, derived ctcvr, with golden rows of its own. Answers its manifest.
 */
export async function writeTestBundle(root: string, bundle: TestBundle = {}): Promise<Omit<Manifest, 'files'>> {
  const { name = 'ads', version = '1', seed = 1, numberScale = 1, architecture = multiGateOptions } = bundle
  const features = bundle.manifest?.features ?? testFeatures
  const { files, rows, tasks, probabilities } = await testModel({
    architecture,
    features,
    seed,
    numberScale,
    rows: bundle.rows,
  })
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
  const written = { manifest, files: { ...files, ...bundle.files } }
  await writeBundle(join(root, name, version), written, { replace: true })
  return manifest
}

/** A folder that is gone when the test ends. */
export async function temporaryFolder(t: { teardown(callback: () => Promise<void>): void }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'multigate-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

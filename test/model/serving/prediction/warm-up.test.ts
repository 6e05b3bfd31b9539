import t from 'tap'
import type { PooledGraph } from '../../../../src/model/engines/pool/engine-pool.ts'
import { createEncoder } from '../../../../src/model/serving/features/encoder.ts'
import { bindingsOf } from '../../../../src/model/serving/prediction/bindings.ts'
import { tryRows } from '../../../../src/model/serving/prediction/warm-up.ts'
import { createFakeEnginePool } from '../../../support/fakes/engine-pool.ts'
import { exampleManifest } from '../../../support/fakes/manifest.ts'

const manifest = exampleManifest()
const encoder = createEncoder(manifest.features)
const width = manifest.tasks.length

/** A graph whose answers to several rows lie this far from its answers to a row by itself. */
const apart = (distance: number): Promise<PooledGraph> =>
  createFakeEnginePool({
    signature: { inputs: [], outputs: [{ name: bindingsOf(manifest).probabilities, width }] },
    compute: ({ rows }) => new Float32Array(rows * width).fill(rows === 1 ? 0.5 : 0.5 + distance),
  }).load({ folder: '.', format: 'onnx', file: 'model.onnx', outputs: [] })

t.test('variants of a plan in bfloat16 may round other values', async (t) => {
  const rounded = await apart(0.004)
  await tryRows(manifest, encoder, rounded, 'bfloat16')
  for (const precision of ['float32', 'int8'] as const)
    await t.rejects(tryRows(manifest, encoder, rounded, precision), /depends on the other rows of the batch/)
  await t.rejects(tryRows(manifest, encoder, await apart(0.1), 'bfloat16'), /depends on the other rows of the batch/)
})

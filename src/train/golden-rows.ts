import type { LayersModel } from '@tensorflow/tfjs-layers'
import type { Dataset } from '../data/dataset.ts'
import type { EncodedRows } from '../data/encode-rows.ts'
import { openLayersModel } from '../model/engines/tensorflow/open-layers-model.ts'
import type { TensorFlow } from '../model/engines/tensorflow/tensorflow-backend.ts'
import type { GoldenRows } from '../schemas/manifest.ts'
import type { TrainSpec } from '../schemas/train-spec.ts'

/** Number of test rows in the manifest, with their answers. */
const goldenRowCount = 8

/** A few evenly spread test rows, with the answers of the saved graph after reopening it. */
export async function goldenRows(
  tensorflow: TensorFlow,
  files: Record<string, Uint8Array>,
  spec: TrainSpec,
  { cells, parts }: Dataset,
  test: EncodedRows,
): Promise<GoldenRows> {
  const count = Math.min(goldenRowCount, test.rows)
  const picked = Array.from({ length: count }, (_, i) => Math.floor((i * test.rows) / count))
  const model = await openLayersModel(tensorflow, files)
  try {
    return {
      rows: picked.map((i) =>
        Object.fromEntries(spec.fields.map(({ name }, field) => [name, cells[field]!.at(parts.test[i]!)])),
      ),
      probabilities: picked.map((i) => probabilitiesOf(tensorflow, model, test, i)),
      tolerance: 1e-5,
    }
  } finally {
    model.dispose()
  }
}

function probabilitiesOf({ tf }: TensorFlow, model: LayersModel, test: EncodedRows, row: number): number[] {
  return tf.tidy(() => {
    const inputs = model.inputNames.map((name) => {
      const width = name === 'sparse' ? test.sparseFields : test.denseFields
      const data = name === 'sparse' ? test.sparse : test.dense
      return tf.tensor2d(
        data.subarray(row * width, (row + 1) * width),
        [1, width],
        name === 'sparse' ? 'int32' : 'float32',
      )
    })
    const output = model.predict(inputs)
    return Array.from((Array.isArray(output) ? output[0]! : output).dataSync())
  })
}

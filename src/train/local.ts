import { ModelError } from '../model/base/errors.ts'
import type { Bundle } from '../model/bundle/read.ts'
import { createCalibrator } from '../model/calibration/calibrator.ts'
import type { Engine } from '../model/contracts/engine.ts'
import { hasOwnIds } from '../model/features/layout.ts'
import { bindingsOf, namedInputs } from '../model/prediction/bindings.ts'
import { savedGraph } from '../model/prediction/load-graph.ts'
import type { TrainSpec } from '../schemas/train-spec.ts'
import type { Dataset } from './dataset.ts'
import { type EncodedRows, encodeRows } from './fields.ts'
import { multiply, type Predictions } from './report.ts'
import type { Cell } from './source.ts'
import { SpecError } from './spec.ts'

/** Rows of one call. */
const batchRows = 4096

/**
 * Computes a saved version's probabilities for the test rows in this process.
 *
 * Rejects with a SpecError for rows that the version's fields reject, and with INVALID_BUNDLE if the version lacks a task of the
 * spec or has a field that the spec lacks.
 */
export async function predictLocally(
  engine: Engine,
  bundle: Bundle,
  file: string,
  spec: TrainSpec,
  dataset: Dataset,
): Promise<Predictions> {
  const { folder, manifest } = bundle
  const { tasks, derived } = manifest
  const { probabilities: output } = bindingsOf(manifest)
  const { encoded } = encodeTestRows(bundle, file, spec, dataset)
  const loaded = await engine.load(savedGraph(bundle, [output]))
  const predictions: Record<string, Float64Array> = Object.fromEntries(
    tasks.map(({ name }) => [name, new Float64Array(encoded.rows)]),
  )
  try {
    for (let start = 0; start < encoded.rows; start += batchRows) {
      const rows = Math.min(batchRows, encoded.rows - start)
      const part = <T extends Int32Array | Float32Array>(data: T, width: number) =>
        data.slice(start * width, (start + rows) * width) as T
      const outputs = await loaded.run(
        {
          rows,
          inputs: namedInputs(
            manifest,
            part(encoded.sparse, encoded.sparseFields),
            part(encoded.dense, encoded.denseFields),
          ),
        },
        [output],
      )
      const probabilities = outputs[output]!
      tasks.forEach(({ name, calibration }, task) => {
        const calibrate = createCalibrator(calibration)
        for (let row = 0; row < rows; row++)
          predictions[name]![start + row] = calibrate(probabilities[row * tasks.length + task]!)
      })
    }
  } finally {
    await loaded.close()
  }
  for (const { name, product } of derived)
    predictions[name] = multiply(
      product.map((factor) => predictions[factor]!),
      encoded.rows,
    )
  for (const { name } of [...spec.tasks, ...spec.derived]) {
    if (!predictions[name]) throw new ModelError('INVALID_BUNDLE', `${folder} has no task ${JSON.stringify(name)}`)
  }
  return predictions
}

/** Encodes the test rows with a version's fields; `rows` are their indexes in the data set. Throws like `predictLocally`. */
export function encodeTestRows(
  { folder, manifest }: Bundle,
  file: string,
  spec: TrainSpec,
  dataset: Dataset,
): { encoded: EncodedRows; rows: Int32Array } {
  const cells = manifest.features.map(({ name }): Cell[] => {
    const index = spec.fields.findIndex((field) => field.name === name)
    if (index < 0)
      throw new ModelError('INVALID_BUNDLE', `${folder} has the field ${JSON.stringify(name)}, which the spec lacks`)
    return dataset.cells[index]!
  })
  const rows = dataset.parts.test
  const { encoded, problems } = encodeRows(manifest.features, cells, rows, dataset.place, {
    ownIds: hasOwnIds(manifest),
  })
  const found = problems.list()
  if (found.length > 0) throw new SpecError(file, found)
  return { encoded, rows }
}

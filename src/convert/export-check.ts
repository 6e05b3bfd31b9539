import { ModelError } from '../model/base/errors.ts'
import type { Bundle } from '../model/bundle/read.ts'
import type { GraphSource } from '../model/contracts/engine.ts'
import { createEngine } from '../model/engines/create.ts'
import { encoderOf } from '../model/features/encoder.ts'
import { bindingsOf, toBatch } from '../model/prediction/bindings.ts'
import { outputsOf } from '../model/prediction/load-graph.ts'
import { unseenOptions } from './keras/assumptions.ts'
import { blocksOf } from './keras/blocks.ts'
import { forwardClass } from './keras/forward-class.ts'
import { largestHdf5, readHdf5, readWhole } from './keras/hdf5.ts'
import { recognise } from './keras/recognise.ts'

/** Checks an exported graph's answers to the golden rows; returns their number. Rejects with MODEL_FAILED if one differs. */
export async function checkGraph(
  { manifest }: Bundle,
  engineName: 'onnx' | 'tensorflow',
  source: Omit<GraphSource, 'outputs'>,
): Promise<number> {
  const golden = encodeGolden(manifest)
  const engine = await createEngine(engineName, 1)
  const { probabilities: output, joined } = bindingsOf(manifest)
  const loaded = await engine.load({ ...source, outputs: outputsOf(manifest), ...(joined && { joined }) })
  try {
    if (golden.rows === 0) return 0
    const answers = await loaded.run(toBatch(manifest, golden), [output])
    compare(manifest, (row, task) => answers[output]![row * manifest.tasks.length + task]!)
    return golden.rows
  } finally {
    await loaded.close()
  }
}

/** The same check for exported weights, read like an import and computed in float64. */
export async function checkWeights({ manifest }: Bundle, path: string): Promise<number> {
  const file = await readHdf5(await readWhole(path, largestHdf5), path)
  const architecture = manifest.architecture!
  const model = recognise(blocksOf(file), { name: architecture.name, options: unseenOptions(architecture) }, path)
  const { rows, sparse, dense } = encodeGolden(manifest)
  const answers = Array.from({ length: rows }, (_, row) =>
    forwardClass(
      model,
      sparse.subarray(row * model.sparseFields, (row + 1) * model.sparseFields),
      Float64Array.from(dense.subarray(row * model.denseFields, (row + 1) * model.denseFields)),
    ),
  )
  compare(manifest, (row, task) => answers[row]![task]!)
  return rows
}

function encodeGolden(manifest: Bundle['manifest']) {
  const { golden } = manifest
  if (golden === undefined) return { rows: 0, sparse: new Int32Array(), dense: new Float32Array() }
  return encoderOf(manifest).rows(undefined, golden.rows, {
    maxRows: golden.rows.length,
    partial: false,
  })
}

function compare(manifest: Bundle['manifest'], answer: (row: number, task: number) => number): void {
  const { golden, tasks, name, version } = manifest
  golden?.probabilities.forEach((expected, row) => {
    tasks.forEach((task, t) => {
      if (!(Math.abs(answer(row, t) - expected[t]!) <= golden.tolerance))
        throw new ModelError(
          'MODEL_FAILED',
          `${name}/${version}: the export answers ${answer(row, t)} for ${task.name} in golden row ${row}, not ${expected[t]}`,
        )
    })
  })
}

import type { Clock } from '../../../base/clock.ts'
import { isTransient, ModelError, reasonOf } from '../../../base/errors.ts'
import type { Manifest } from '../../../schemas/manifest.ts'
import type { Signature } from '../../contracts/engine.ts'
import type { PredictionTable } from '../../contracts/prediction.ts'
import type { Layout } from '../features/layout.ts'
import { bindingsOf } from './bindings.ts'
import type { LoadedModel } from './loaded-model.ts'
import type { QueryRows } from './query-rows.ts'

/** While a version is loaded, no client waits for it: its checks may take this long, ms. */
const loadDeadline = 60_000

/** Asks a version its golden rows. Rejects with INVALID_BUNDLE where one is answered wrongly. */
export async function checkGoldenRows(model: LoadedModel, clock: Clock): Promise<void> {
  const { golden, name, version, tasks } = model.manifest
  if (golden === undefined) return
  const wrong = (message: string) => new ModelError('INVALID_BUNDLE', `${name}/${version}/manifest.json: ${message}`)
  let table: PredictionTable
  try {
    const rows: QueryRows = { form: 'rows', context: undefined, candidates: golden.rows }
    table = await model.predict({ rows, options: { raw: true }, deadline: clock.now() + loadDeadline }).table
  } catch (cause) {
    // A thread that died says nothing about the version.
    if (isTransient(cause)) throw cause
    throw wrong(`its golden rows can't be answered: ${reasonOf(cause)}`)
  }
  tasks.forEach((task, column) => {
    const raw = table.raw?.find(([name]) => name === task.name)?.[1]
    golden.probabilities.forEach((expected, row) => {
      const difference = Math.abs((raw?.[row] ?? Number.NaN) - expected[column]!)
      if (!(difference <= golden.tolerance)) {
        throw wrong(
          `golden row ${row} differs: ${task.name} should be ${expected[column]}, the model answers ${raw?.[row]}`,
        )
      }
    })
  })
  checkServed(model.manifest, table, wrong)
}

/** A calibration may be steep: where raw probabilities differ a little, those served may differ by more. */
const steepness = 100

/**
 * Checks what clients get, calibrated and composed: a calibration that is not that of the golden rows is found here.
 */
function checkServed(
  { golden, tasks, derived }: Manifest,
  table: PredictionTable,
  wrong: (message: string) => ModelError,
): void {
  if (golden?.served === undefined) return
  const names = [...tasks, ...derived].map(({ name }) => name)
  const columns = names.map((name) => table.tasks.find(([task]) => task === name)?.[1])
  golden.served.forEach((expected, row) => {
    // A task that was derived since then has no value.
    expected.forEach((value, column) => {
      const answer = columns[column]?.[row] ?? Number.NaN
      if (Math.abs(answer - value) <= steepness * golden.tolerance) return
      const problem = `${names[column]} should be ${value} as served, but is ${answer}`
      const reason =
        column < tasks.length
          ? 'its raw probability is right, so its calibration is wrong, or newer than /golden/served, which may be removed'
          : 'its factors are right, so its product, its calibration or its place in /derived is wrong: add derived tasks at the end, or remove /golden/served'
      throw wrong(`golden row ${row} differs: ${problem}; ${reason}`)
    })
  })
}

/** Float32 counts exactly up to this. */
const exactIntegers = 2 ** 24

/** Throws INVALID_BUNDLE where a graph's inputs and output don't fit the manifest's fields and tasks. */
export function checkSignature(manifest: Manifest, layout: Layout, signature: Signature): void {
  const inputs = bindingsOf(manifest)
  const where = `${manifest.name}/${manifest.version}/${manifest.graph.file}`
  const wrong = (message: string) => {
    throw new ModelError('INVALID_BUNDLE', `${where} doesn't fit its manifest: ${message}`)
  }
  const expected = [
    { name: inputs.sparse, dtype: 'int32', width: layout.sparse.length, what: 'sparse fields' },
    { name: inputs.dense, dtype: 'float32', width: layout.dense.length, what: 'numeric fields' },
  ]
  for (const { name, dtype, width, what } of expected) {
    if (name === undefined) continue
    const input = signature.inputs.find((candidate) => candidate.name === name)
    if (input === undefined) wrong(`it has no input ${name}, but ${signature.inputs.map((i) => i.name).join(', ')}`)
    // Ids may be floats: Keras 3 exports them so.
    else if (dtype === 'int32' && input.dtype === 'float32' && layout.ids > exactIntegers)
      wrong(`its input ${name} is float32, which doesn't hold all ids up to ${layout.ids - 1}`)
    else if (dtype === 'float32' && input.dtype === 'int32') wrong(`its input ${name} is int32, not float32`)
    else if (input.width !== width) wrong(`its input ${name} is ${input.width} wide, but there are ${width} ${what}`)
  }
  for (const { name } of signature.inputs) {
    if (name !== inputs.sparse && name !== inputs.dense) wrong(`its input ${name} is not in /graph/inputs`)
  }
  const tasks = manifest.tasks.length
  const output = signature.outputs.find(({ name }) => name === inputs.probabilities)
  if (output && output.width !== tasks)
    wrong(`its output ${inputs.probabilities} is ${output.width} wide, but there are ${tasks} tasks`)
}

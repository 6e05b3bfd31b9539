import type { Manifest } from '../../schemas/manifest.ts'
import type { Clock } from '../base/clock.ts'
import { isTransient, ModelError, reasonOf } from '../base/errors.ts'
import type { PredictionTable } from '../contracts/prediction.ts'
import type { LoadedModel } from './contract.ts'
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

/** What clients get, calibrated and composed: a calibration that is not the one of the golden rows is found here. */
function checkServed(
  { golden, tasks, derived }: Manifest,
  table: PredictionTable,
  wrong: (message: string) => ModelError,
): void {
  if (golden?.served === undefined) return
  const names = [...tasks, ...derived].map(({ name }) => name)
  const columns = names.map((name) => table.tasks.find(([task]) => task === name)?.[1])
  golden.served.forEach((expected, row) => {
    names.forEach((name, column) => {
      const answer = columns[column]?.[row] ?? Number.NaN
      if (Math.abs(answer - expected[column]!) <= steepness * golden.tolerance) return
      const problem = `${name} should be ${expected[column]} as served, but is ${answer}`
      throw wrong(`golden row ${row} differs: ${problem}; its raw probability is right, so its calibration is wrong`)
    })
  })
}

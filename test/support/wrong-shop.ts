import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createUniform } from '../../src/base/hash.ts'
import { logit, sigmoid } from '../../src/model/serving/calibration/calibrator.ts'
import { drawRow } from '../../src/model/serving/features/draw.ts'
import { readBundle } from '../../src/model/serving/version/read-version.ts'
import type { EvaluationReport } from '../../src/schemas/evaluation.ts'
import { type RunCalibrateOptions, runCalibrate } from '../../src/tools/evaluate/run-calibrate.ts'
import { runEvaluate } from '../../src/tools/evaluate/run-evaluate.ts'
import { temporaryFolder, writeTestBundle } from './bundle.ts'
import { evaluateDefaults } from './evaluate.ts'

/*
 * A version whose probabilities are wrong in a known way: where it predicts p, labels are drawn from
 * σ(1.5 · logit p − 0.3).
 */

/** Number of the rows. */
export const rows = 2000
/** Few: an evaluation draws them again, a thousand times. */
export const users = 300
const truth = (p: number) => sigmoid(1.5 * logit(p) - 0.3)

export interface Shop {
  folder: string
  models: string
  /** Path of a spec with changes; its rows are in `rows.csv`. */
  spec(name: string, changes?: object): Promise<string>
}

function shopIn(folder: string): Shop {
  const spec = async (name: string, changes: object = {}) => {
    const tasks = [
      { name: 'ctr', label: 'click == "1"' },
      { name: 'cvr', label: 'sale == "1"', where: 'click == "1"' },
    ]
    await writeFile(
      join(folder, name),
      JSON.stringify({ data: { csv: ['rows.csv'] }, tasks, group: 'user', slices: ['country'], ...changes }),
    )
    return join(folder, name)
  }
  return { folder, models: join(folder, 'models'), spec }
}

export async function copyShop(t: Test, { folder }: Shop): Promise<Shop> {
  const copy = await temporaryFolder(t)
  await cp(folder, copy, { recursive: true })
  return shopIn(copy)
}

/** Its rows are labelled so; tests that write versions copy it. */
export async function writeShop(t: Test): Promise<Shop> {
  const shop = shopIn(await temporaryFolder(t))
  const { folder, models, spec } = shop
  await writeTestBundle(models, { name: 'shop' })
  const { manifest } = await readBundle(models, 'shop', '1')
  const fields = manifest.features.map(({ name }) => name)
  const random = createUniform(11)
  const drawn = Array.from({ length: rows }, () => drawRow(manifest.features, random))
  const userOf = drawn.map(() => `u${Math.floor(random() * users)}`)
  const write = (clicks: number[], sales: number[], users = userOf) => {
    const lines = drawn.map((row, i) => [...fields.map((field) => row[field]), users[i], clicks[i], sales[i]].join(','))
    return writeFile(
      join(folder, 'rows.csv'),
      `${[...fields, 'user', 'click', 'sale'].join(',')}\n${lines.join('\n')}\n`,
    )
  }
  // Any labels, to learn what it predicts; of one user, who leaves nothing to draw again and no baseline to fit.
  await write(
    drawn.map((_, i) => i % 2),
    drawn.map((_, i) => Number(i % 4 === 1)),
    drawn.map(() => 'u'),
  )
  const any = {
    slices: [],
    tasks: [
      { name: 'ctr', label: 'click == "1"' },
      { name: 'cvr', label: 'click == "1"' },
    ],
  }
  const predictions = join(folder, 'predictions.csv')
  const options = { ...evaluateDefaults, models, target: 'shop', data: await spec('any.yaml', any), predictions }
  if ((await runEvaluate(options)) !== 0) throw new Error('the version could not be evaluated')
  const predicted = { ctr: [] as number[], cvr: [] as number[] }
  for (const line of (await readFile(predictions, 'utf8')).trim().split('\n').slice(1)) {
    const [task, , , , , prediction] = line.split(',')
    if (task === 'ctr' || task === 'cvr') predicted[task].push(Number(prediction))
  }
  const clicks = predicted.ctr.map((p) => Number(random() < truth(p)))
  await write(
    clicks,
    predicted.cvr.map((p, i) => Number(clicks[i] === 1 && random() < truth(p))),
  )
  return shop
}

/** `multigate calibrate` of version 1; what it prints. */
export function calibrating({ models }: Shop, data: string, changes: Partial<RunCalibrateOptions> = {}) {
  const out: string[] = []
  const err: string[] = []
  const options: RunCalibrateOptions = {
    ...{ ...evaluateDefaults, models, data, target: 'shop', method: 'platt', tasks: undefined, dryRun: false },
    force: false,
    json: true,
    out: { write: (text) => out.push(text) },
    err: { write: (text) => err.push(text) },
    ...changes,
  }
  const report = () => JSON.parse(out.join('')) as EvaluationReport
  return { done: runCalibrate(options), report, said: () => err.join('') }
}

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createUniform } from '../../src/base/hash.ts'
import type { Entities } from '../../src/schemas/entities.ts'
import type { RunEvaluateOptions } from '../../src/tools/evaluate/run-evaluate.ts'
import { temporaryFolder, writeTestBundle } from './bundle.ts'
import { evaluateToJson } from './evaluate.ts'
import { importRows } from './feature-table.ts'
import { listCandidates, listContext, listFeatures } from './list-features.ts'

/* A model with entities, their tables, and labelled rows that have keys in place of features. */

export const entities: Entities = {
  ad: {
    ...{ key: 'ad_id', side: 'candidate', table: 'ads', unknown: 'defaults' },
    features: ['campaign', 'price', 'item', 'tags', 'image'],
  },
  user: {
    ...{ key: 'user_id', side: 'context', table: 'users', unknown: 'defaults' },
    features: ['country', 'history', 'ages'],
  },
}
/** All fields have defaults. */
export const features = listFeatures.map((field) => {
  if (field.name === 'campaign') return { ...field, missing: { default: 'none' } }
  return field.name === 'price' ? { ...field, missing: { default: 2.5 } } : field
}) as typeof listFeatures

const random = createUniform(5)
const whole = (end: number) => Math.floor(random() * end)
const some = <T>(values: readonly T[]) => values[whole(values.length)]!
const lists = <T>(most: number, draw: () => T) => Array.from({ length: whole(most + 1) }, draw)

export const ads = new Map(
  Array.from({ length: 30 }, (_, i) => [
    `ad-${i}`,
    {
      campaign: i % 9 === 0 ? null : `c${i % 7}`,
      // Numbers that float32 does not hold, and rows without one.
      price: i % 5 === 0 ? null : i / 10,
      item: some(['a', 'b', 'c', 'zzz', null]),
      tags: i % 6 === 0 ? null : lists(3, () => some(['x', 'y', 'z'])),
      image: i % 7 === 0 ? null : [i / 3, -i / 7],
    },
  ]),
)
export const users = new Map(
  Array.from({ length: 12 }, (_, i) => {
    const history = lists(5, () => some(['a', 'b', 'c', 'zzz']))
    return [String(i), { country: some(['DE', 'FR', 'XX']), history, ages: history.map(() => whole(90)) }]
  }),
)
export const [noAd, noUser] = [{}, {}] as [Record<string, unknown>, Record<string, unknown>]

/** Requests, some with keys that the tables do not have, or with none, and their labels. */
export const rows = Array.from({ length: 400 }, (_, i) => ({
  ad_id: i % 40 === 7 ? '' : `ad-${whole(33)}`,
  user_id: i % 50 === 9 ? '' : String(whole(14)),
  hour: whole(24),
  views: whole(9),
  // Sent by some requests; an empty cell is a null that was sent.
  price: some(['', '0.1', '7']),
  ctr: whole(2),
  cvr: whole(2),
}))

export type Cell = string | number
export const csvOf = (names: readonly string[], cells: readonly (readonly Cell[])[]) =>
  [names, ...cells].map((row) => row.map((cell) => `"${String(cell).replaceAll('"', '""')}"`).join(',')).join('\n')

export const keyed = (names: readonly (keyof (typeof rows)[number])[]) =>
  csvOf(
    names,
    rows.map((row) => names.map((name) => row[name])),
  )

const specOf = (csv: string, more: object = {}) => ({
  data: { csv: [csv], ...more },
  tasks: ['ctr', 'cvr'].map((name) => ({ name, label: `${name} == "1"` })),
})

/** Models and tables, and a function that writes rows and their spec. */
export async function prepareKeyed(t: Test, changed: { entities?: Entities; price?: (price: number) => number } = {}) {
  const folder = await temporaryFolder(t)
  const models = join(folder, 'models')
  const golden = listCandidates.map((candidate) => ({ ...listContext, ...candidate }))
  const manifest = { features, entities: changed.entities ?? entities }
  await writeTestBundle(models, { manifest, rows: golden })
  const { price = (own) => own } = changed
  const adRows = [...ads].map(([id, ad]) => ({ id, ...ad, price: ad.price === null ? null : price(ad.price) }))
  await importRows(models, 'ads', adRows)
  await importRows(
    models,
    'users',
    [...users].map(([id, user]) => ({ id, ...user })),
  )
  const write = async (name: string, text: string, more: object = {}) => {
    await writeFile(join(folder, `${name}.csv`), text)
    await writeFile(join(folder, `${name}.json`), JSON.stringify(specOf(`${name}.csv`, more)))
    return join(folder, `${name}.json`)
  }
  return { folder, models, write }
}

/** The report of an evaluation, and per row the probabilities that it computes. */
export async function judgedOf(
  folder: string,
  options: Partial<RunEvaluateOptions> & { data: string; models: string },
) {
  const path = join(folder, 'predictions.csv')
  const report = await evaluateToJson({ target: 'ads', predictions: path, ...options })
  const predictions: Record<string, number[]> = {}
  for (const line of (await readFile(path, 'utf8')).trim().split('\n').slice(1)) {
    const [task, row, , , , prediction] = line.split(',')
    predictions[task!] ??= []
    predictions[task!]![Number(row) - 1] = Number(prediction)
  }
  return { ...report, predictions }
}

/** The probabilities alone. */
export const predictionsOf = async (...options: Parameters<typeof judgedOf>) => (await judgedOf(...options)).predictions

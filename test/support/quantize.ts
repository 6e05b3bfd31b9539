import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createUniform } from '../../src/base/hash.ts'
import { drawRow } from '../../src/model/serving/features/draw.ts'
import { type RunQuantizeOptions, runQuantize } from '../../src/tools/evaluate/run-quantize.ts'
import { type TestBundle, temporaryFolder, testFeatures, writeTestBundle } from './bundle.ts'
import { evaluateDefaults } from './evaluate.ts'

/** Rows of a shop. */
export const count = 1200

/**
 * A version, `count` rows of its fields with labels, and their spec. Its plans are kept in `cache`, a folder of its own
 * by default.
 */
export async function writeShop(t: Test, { bundle = {}, spec = {}, rows = count, cache }: ShopOptions = {}) {
  const folder = await temporaryFolder(t)
  const models = join(folder, 'models')
  await writeTestBundle(models, { name: 'shop', ...bundle })
  const random = createUniform(5)
  const drawn = Array.from({ length: rows }, () => drawRow(testFeatures, random))
  const names = testFeatures.map(({ name }) => name)
  const lines = drawn.map((row, i) => [...names.map((name) => row[name]), i % 2, i % 4 === 1 ? 1 : 0].join(','))
  await writeFile(join(folder, 'rows.csv'), `${[...names, 'click', 'sale'].join(',')}\n${lines.join('\n')}\n`)
  const data = join(folder, 'rows.yaml')
  const tasks = [
    { name: 'ctr', label: 'click == "1"' },
    { name: 'cvr', label: 'sale == "1"', where: 'click == "1"' },
  ]
  await writeFile(data, JSON.stringify({ data: { csv: ['rows.csv'] }, tasks, ...spec }))
  return { folder, models, data, drawn, cache: cache ?? join(folder, 'cache') }
}

interface ShopOptions {
  bundle?: TestBundle
  spec?: object
  rows?: number
  cache?: string | undefined
}

export type Shop = Awaited<ReturnType<typeof writeShop>>

/** Runs `multigate quantize` and answers with its exit code and what it writes. */
export async function quantize({ models, data, cache }: Shop, changes: Partial<RunQuantizeOptions> = {}) {
  const out: string[] = []
  const err: string[] = []
  const code = await runQuantize({
    ...{ ...evaluateDefaults, models, data, cache, target: 'shop' },
    ...{ precision: 'auto', tables: undefined, rows: 4096, dryRun: false, json: true },
    out: { write: (text) => out.push(text) },
    err: { write: (text) => err.push(text) },
    ...changes,
  })
  return { code, printed: out.join(''), said: err.join('') }
}

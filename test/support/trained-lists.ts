// Versions with lists, trained from `views.csv`, and what holds for each of them.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { readLayersModel } from '../../src/model/graph/lower/layers/layers-model.ts'
import { layoutOf } from '../../src/model/serving/features/layout.ts'
import { readBundle } from '../../src/model/serving/version/read-version.ts'
import type { Manifest } from '../../src/schemas/manifest.ts'
import { temporaryFolder } from './bundle.ts'
import { listCsv, listSpec } from './list-rows.ts'
import { trainIn } from './trained.ts'

export const data = { csv: ['views.csv'], separator: ';' }
export const spec = { ...listSpec(), data }

export async function trained(
  t: Test,
  changes: object = {},
  rows = 600,
): Promise<{ folder: string; manifest: Manifest }> {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'views.csv'), listCsv(rows))
  await trainIn(folder, { ...spec, ...changes })
  return { folder, manifest: (await readBundle(join(folder, 'models'), 'views', '1')).manifest }
}

export const weightsOf = (folder: string, version = '1') =>
  readLayersModel(join(folder, 'models/views', version), 'model.json')

export async function valuesOf(folder: string, name: string, version?: string): Promise<Float32Array> {
  const { weights } = await weightsOf(folder, version)
  return new Float32Array(weights.get(name)!.data.slice().buffer)
}

/** No penalty pulls the row of padding, and all other rows have it: of tables with these widths and optimizers. */
export async function checkPenalties(
  t: Test,
  cases: readonly (readonly [dim: number | undefined, tables: string])[],
): Promise<void> {
  const penalised = (dim?: number, tables = 'adam') => ({
    architecture: { ...spec.architecture, embedding_l2: 0.05, wide: true, wide_l2: 0.05 },
    fields: spec.fields.map((field) => (dim !== undefined && field.name === 'tags' ? { ...field, dim } : field)),
    training: { ...spec.training, epochs: 1, tables },
  })
  /** By width: versions with the weights before the first step, which no optimizer of the tables changes. */
  const starts = new Map<number | undefined, Awaited<ReturnType<typeof trained>>>()
  for (const [dim, tables] of cases) {
    const changes = penalised(dim, tables)
    const training = { ...changes.training, learning_rate: 1e-30 }
    const before = starts.get(dim) ?? (await trained(t, { ...changes, training }))
    starts.set(dim, before)
    const after = await trained(t, changes)
    const { column, padding } = layoutOf(after.manifest).byName.get('tags')!
    const own = dim === undefined ? '' : `field_${column}/`
    const width = dim ?? 4
    const name = `embedding/${own}embeddings`
    const [start, end] = [await valuesOf(before.folder, name), await valuesOf(after.folder, name)]
    const row = (values: Float32Array, id: number) => Array.from(values.subarray(id * width, (id + 1) * width))
    t.same(row(end, padding), row(start, padding), `${name}, ${tables}`)
    t.ok(row(end, padding).some((value) => value !== 0))
    t.notSame(row(end, padding + 1), row(start, padding + 1))
    if (dim !== undefined) continue
    // No row of the data reads that of unknown hours, which the penalty pulls nevertheless.
    for (const [j, value] of row(end, 0).entries()) t.ok(Math.abs(value) < Math.abs(row(start, 0)[j]!))
  }
}

/** Trains an architecture with an attention. */
export async function checkAttention(
  t: Test,
  { name, attention, ...more }: { name: string; attention: string; wide?: boolean },
): Promise<void> {
  const compared = attention === 'none' ? {} : { target: ['item'] }
  const { manifest } = await trained(t, {
    architecture: { name, dim_emb: 4, ...more },
    sequences: [{ name: 'views', attention, ...compared }],
  })
  t.match(manifest.architecture, { name })
  t.ok(manifest.golden!.probabilities.flat().every((p) => p > 0 && p < 1))
}

import { createHash } from 'node:crypto'
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { baseOf } from '../../src/model/serving/delta-files/container.ts'
import { fileOf } from '../../src/model/serving/delta-files/delta-folder.ts'
import { type Delta, type DeltaTable, encodeDelta } from '../../src/model/serving/deltas/delta-file.ts'
import { layoutOf } from '../../src/model/serving/features/layout.ts'
import type { Features } from '../../src/schemas/features.ts'
import type { Manifest } from '../../src/schemas/manifest.ts'
import { testFeatures, writeTestBundle } from './bundle.ts'

/** `testFeatures`, with a live hash field of 50 ids, `campaign`, and a live context field, `hour`. */
export const liveFeatures: Features = testFeatures.map((field) =>
  field.name === 'campaign' || field.name === 'hour' ? ({ ...field, live: true } as typeof field) : field,
)

export const liveWidth = 4

export async function writeLiveBundle(root: string, manifest: Partial<Manifest> = {}, version = '1'): Promise<string> {
  await writeTestBundle(root, { version, manifest: { features: liveFeatures, ...manifest } })
  return join(root, 'ads', version)
}

export const readManifestOf = async (folder: string): Promise<Manifest> =>
  JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8'))

/** Rows that are all of one value. */
export const constantRows = (field: string, ids: readonly number[], value: number): DeltaTable => ({
  field,
  width: liveWidth,
  ids: Uint32Array.from(ids),
  rows: new Float32Array(ids.length * liveWidth).fill(value),
})

/** Writes a delta file beside its place and renames it; `changes` make it a wrong one. */
export async function writeDelta(
  folder: string,
  sequence: number,
  tables: DeltaTable[],
  changes: Partial<Delta> = {},
  change: (bytes: Buffer) => Buffer = (bytes) => bytes,
): Promise<void> {
  const manifest = await readManifestOf(folder)
  const { name: model, version } = manifest
  const bytes = encodeDelta({ model, version, base: baseOf(manifest.files), sequence, tables, ...changes })
  const path = join(folder, fileOf(sequence))
  await mkdir(dirname(path), { recursive: true })
  await writeFile(`${path}.new`, change(bytes))
  await rename(`${path}.new`, path)
}

export const removeDelta = (folder: string, sequence: number) => rm(join(folder, fileOf(sequence)))

/** A copy of a version, in another root, whose table has the rows written in. */
export async function writeWrittenIn(folder: string, root: string, tables: readonly DeltaTable[]): Promise<void> {
  const manifest = await readManifestOf(folder)
  const copy = join(root, manifest.name, manifest.version)
  await cp(folder, copy, { recursive: true, filter: (path) => !path.includes('deltas') })
  const { file, at } = await placeOfTable(copy)
  const bytes = await readFile(join(copy, file))
  const { sparse } = layoutOf(manifest)
  for (const { field, ids, rows, width } of tables) {
    const { offset } = sparse.find((one) => one.field.name === field)!
    for (const [i, id] of ids.entries())
      for (let column = 0; column < width; column++)
        bytes.writeFloatLE(rows[i * width + column]!, at + 4 * ((offset + id) * width + column))
  }
  await writeFile(join(copy, file), bytes)
  const { golden: _, ...kept } = manifest
  kept.files[file] = createHash('sha256').update(bytes).digest('hex')
  await writeFile(join(copy, 'manifest.json'), JSON.stringify(kept))
}

/** Where the embedding table of a layers model begins. */
async function placeOfTable(folder: string): Promise<{ file: string; at: number }> {
  const { weightsManifest } = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8'))
  const [{ paths, weights }] = weightsManifest
  let at = 0
  for (const { name, shape } of weights as { name: string; shape: number[] }[]) {
    if (/embedding\/(?:embeddings|kernel)$/.test(name) && name.startsWith('embedding')) return { file: paths[0], at }
    at += 4 * shape.reduce((product, side) => product * side, 1)
  }
  throw new Error(`the model has no embedding, but ${weights.map(({ name }: { name: string }) => name)}`)
}

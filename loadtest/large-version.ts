import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sha256 } from '../src/model/serving/bundle/checksum.ts'
import { encodeQuantizationRows } from '../src/model/serving/bundle/quantization.ts'
import { fileOf } from '../src/model/serving/delta-files/delta-folder.ts'
import { encodeDelta } from '../src/model/serving/deltas/delta-file.ts'
import type { Features } from '../src/schemas/features.ts'
import { createQueries, drawEncodedRows } from './bodies.ts'
import { integerField, numberField } from './competitors/columns.ts'
import { tasks } from './competitors/models.ts'
import { largeGraph, writeTable } from './large-graph.ts'

/* Versions with one large table for all of their fields, and deltas of it. */

/** Columns of the table. */
export const dim = 16
const dense = 4
const candidates = 100

export interface LargeVersion {
  name: string
  features: Features
  /** Width of both layers. */
  hidden: number
  precision: 'float32' | 'int8'
  /** Quantization rows. */
  rows: number
}

/** Fields of a large table, the first half for the context, and four numbers. */
function featuresOf(fields: readonly ReturnType<typeof integerField>[]): Features {
  const numbers = Array.from({ length: dense }, (_, i) =>
    numberField(`value${i}`, i < dense / 2 ? 'context' : 'candidate'),
  )
  return [...fields, ...numbers]
}

/** Eight fields that share `ids` rows evenly. */
export function evenFeatures(ids: number): Features {
  const size = Math.floor(ids / 8)
  return featuresOf(
    Array.from({ length: 8 }, (_, i) => integerField(`field${i}`, size, i < 4 ? 'context' : 'candidate')),
  )
}

/** A candidate with `ids` rows, and seven fields with few. */
export function adFeatures(ids: number, live = false): Features {
  return featuresOf([
    { ...integerField('ad', ids, 'candidate'), ...(live && { live }) },
    ...Array.from({ length: 7 }, (_, i) => integerField(`field${i}`, 1000, i < 4 ? 'context' : 'candidate')),
  ])
}

/** Writes version 1 of a model with its table in a separate file; returns its folder. */
export async function writeLargeVersion(
  models: string,
  { name, features, hidden, precision, rows }: LargeVersion,
): Promise<string> {
  const version = join(models, name, '1')
  await mkdir(version, { recursive: true })
  const sizes = features.flatMap((field) => (field.kind === 'integer' ? field.size : []))
  const ids = sizes.reduce((sum, size) => sum + size, 0)
  const shape = { ids, dim, fields: sizes.length, dense, hidden, tasks: tasks.length }
  await writeTable(join(version, 'table.bin'), shape)
  await writeFile(join(version, 'model.onnx'), largeGraph(version, shape).toBytes())
  const quantization = rows > 0 && { file: 'quantization.bin', rows, labels: false }
  if (quantization)
    await writeFile(join(version, quantization.file), encodeQuantizationRows(drawEncodedRows(features, rows, 1)))
  const files: Record<string, string> = {}
  for (const file of ['table.bin', 'model.onnx', ...(quantization ? [quantization.file] : [])])
    files[file] = await sha256(join(version, file))
  const manifest = {
    ...{ manifest: 1, name, version: '1', features, tasks: tasks.map((name) => ({ name })), derived: [] },
    graph: {
      format: 'onnx',
      file: 'model.onnx',
      inputs: { sparse: 'sparse', dense: 'dense' },
      outputs: { probabilities: 'probabilities' },
    },
    precision,
    ...(quantization && { quantization }),
    files,
  }
  await writeFile(join(version, 'manifest.json'), JSON.stringify(manifest))
  return version
}

/** Writes a delta of `count` random ads beside its place. */
export async function prepareDelta(
  version: string,
  base: string,
  sequence: number,
  count: number,
  ids: number,
): Promise<void> {
  const drawn = new Set<number>()
  while (drawn.size < count) drawn.add(Math.floor(Math.random() * ids))
  const rows = Float32Array.from({ length: count * dim }, () => Math.random() / 4)
  const tables = [{ field: 'ad', width: dim, ids: Uint32Array.from(drawn), rows }]
  const path = join(version, fileOf(sequence))
  await mkdir(dirname(path), { recursive: true })
  await writeFile(`${path}.tmp`, encodeDelta({ model: 'ads', version: '1', base, sequence, tables }))
}

/** Gives a prepared delta its name. */
export function placeDelta(version: string, sequence: number): Promise<void> {
  const path = join(version, fileOf(sequence))
  return rename(`${path}.tmp`, path)
}

/** Requests of random candidates, each for one user; few of these are cached. */
export function drawBodies(features: Features, count: number, seed = 1): string[] {
  const draw = createQueries(features, seed, 'new')
  return Array.from({ length: count }, () => JSON.stringify(draw(candidates)))
}

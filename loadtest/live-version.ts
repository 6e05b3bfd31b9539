import { mkdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { sha256 } from '../src/model/serving/bundle/checksum.ts'
import { encodeQuantizationRows } from '../src/model/serving/bundle/quantization.ts'
import { encodeDelta, fileOf } from '../src/model/serving/deltas/delta-file.ts'
import { createLayout } from '../src/model/serving/features/layout.ts'
import type { Features } from '../src/schemas/features.ts'
import { largeGraph, writeTable } from './large-graph.ts'

/* A version whose candidates have ids of a large table, and deltas of it. */

const dim = 16
const others = 7
const otherIds = 1000
const dense = 4
const hidden = 128
const candidates = 100
const tasks = ['ctr', 'cvr']

function featuresOf(ids: number, live: boolean): Features {
  const field = (name: string, size: number, side: 'context' | 'candidate') => ({
    name,
    side,
    kind: 'integer' as const,
    size,
    out_of_vocabulary: 'error' as const,
    missing: 'error' as const,
  })
  return [
    { ...field('ad', ids, 'candidate'), ...(live && { live }) },
    ...Array.from({ length: others }, (_, i) => field(`field${i}`, otherIds, i < 4 ? 'context' : 'candidate')),
    ...Array.from({ length: dense }, (_, i) => ({
      name: `value${i}`,
      side: i < dense / 2 ? ('context' as const) : ('candidate' as const),
      kind: 'numeric' as const,
      scaling: { method: 'none' as const },
      missing: 'error' as const,
    })),
  ]
}

/** Random encoded rows, which set scales and judge what is rounded. */
function drawQuantizationRows(features: Features, rows: number): Buffer {
  const { sparse } = createLayout(features)
  return encodeQuantizationRows({
    rows,
    sparse: Int32Array.from({ length: rows * sparse.length }, (_, i) => {
      const { offset, ids } = sparse[i % sparse.length]!
      return offset + Math.floor(Math.random() * ids)
    }),
    dense: Float32Array.from({ length: rows * dense }, Math.random),
    labels: undefined,
  })
}

/**
 * Writes version 1 of `ads` with a table of `ids` rows and some for the other fields, and with `rows` quantization
 * rows; returns its folder.
 */
export async function writeLiveVersion(
  models: string,
  ids: number,
  { live = false, rows = 0 }: { live?: boolean; rows?: number },
): Promise<string> {
  const version = join(models, 'ads', '1')
  await mkdir(version, { recursive: true })
  const shape = { ids: ids + others * otherIds, dim, fields: 1 + others, dense, hidden, tasks: tasks.length }
  await writeTable(join(version, 'table.bin'), shape)
  await writeFile(join(version, 'model.onnx'), largeGraph(version, shape).toBytes())
  const files: Record<string, string> = {}
  const features = featuresOf(ids, live)
  const quantization = rows > 0 && { file: 'quantization.bin', rows, labels: false }
  if (quantization) await writeFile(join(version, quantization.file), drawQuantizationRows(features, rows))
  for (const file of ['table.bin', 'model.onnx', ...(quantization ? [quantization.file] : [])])
    files[file] = await sha256(join(version, file))
  const manifest = {
    manifest: 1,
    name: 'ads',
    version: '1',
    features,
    tasks: tasks.map((name) => ({ name })),
    derived: [],
    graph: {
      format: 'onnx',
      file: 'model.onnx',
      inputs: { sparse: 'sparse', dense: 'dense' },
      outputs: { probabilities: 'probabilities' },
    },
    precision: 'float32',
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

/** A request of random candidates for one user. */
export function drawBody(ids: number): string {
  const below = (n: number) => Math.floor(Math.random() * n)
  const fields = (from: number, to: number, prefix: string, draw: () => number) =>
    Object.fromEntries(Array.from({ length: to - from }, (_, i) => [`${prefix}${from + i}`, draw()]))
  const context = { ...fields(0, 4, 'field', () => below(otherIds)), ...fields(0, 2, 'value', Math.random) }
  const rows = Array.from({ length: candidates }, () => ({
    ad: below(ids),
    ...fields(4, others, 'field', () => below(otherIds)),
    ...fields(2, dense, 'value', Math.random),
  }))
  return JSON.stringify({ context, candidates: rows })
}

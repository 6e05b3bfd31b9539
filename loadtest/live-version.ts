import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { external } from '../src/model/graph/external-data.ts'
import { Graph } from '../src/model/graph/graph.ts'
import { TensorProto_DataType as DataType } from '../src/model/graph/onnx_pb.ts'
import { declare, floatShape } from '../src/model/graph/tensor-shape.ts'
import { encodeDelta } from '../src/model/live/delta-file.ts'
import { fileOf } from '../src/model/live/delta-folder.ts'
import type { Features } from '../src/schemas/features.ts'

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

/** Writes version 1 of `ads` with a table of `ids` rows and some for the other fields; returns its folder. */
export async function writeLiveVersion(models: string, ids: number, live: boolean): Promise<string> {
  const version = join(models, 'ads', '1')
  await mkdir(version, { recursive: true })
  const rows = ids + others * otherIds
  await writeTable(join(version, 'table.bin'), rows)
  await writeFile(join(version, 'model.onnx'), buildGraph(version, rows).toBytes())
  const files: Record<string, string> = {}
  for (const file of ['table.bin', 'model.onnx']) files[file] = await sha256(join(version, file))
  const manifest = {
    manifest: 1,
    name: 'ads',
    version: '1',
    features: featuresOf(ids, live),
    tasks: tasks.map((name) => ({ name })),
    derived: [],
    graph: {
      format: 'onnx',
      file: 'model.onnx',
      inputs: { sparse: 'sparse', dense: 'dense' },
      outputs: { probabilities: 'probabilities' },
    },
    precision: 'float32',
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

async function writeTable(path: string, rows: number): Promise<void> {
  const file = await open(path, 'w')
  const chunk = new Float32Array(2 ** 18)
  let state = 1
  try {
    for (let left = rows * dim; left > 0; left -= chunk.length) {
      for (let i = 0; i < chunk.length; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) | 0
        chunk[i] = state / 2 ** 34
      }
      await file.write(new Uint8Array(chunk.buffer, 0, Math.min(left, chunk.length) * 4))
    }
  } finally {
    await file.close()
  }
}

function buildGraph(version: string, rows: number): Graph {
  const fields = 1 + others
  const graph = new Graph({
    inputs: [declare('sparse', { dtype: DataType.INT32, dims: [-1, fields] }), declare('dense', floatShape(-1, dense))],
    outputs: [declare('probabilities', floatShape(-1, tasks.length))],
    nodes: [],
    constants: [
      external(
        { name: 'table', dataType: DataType.FLOAT, dims: [BigInt(rows), BigInt(dim)] },
        'table.bin',
        0,
        rows * dim * 4,
      ),
    ],
    folder: version,
    opsets: new Map([['', 17n]]),
  })
  const weights = (name: string, k: number, n: number) => {
    const scale = 2 / Math.sqrt(k)
    return graph.constant(
      name,
      Float32Array.from({ length: k * n }, () => (Math.random() - 0.5) * scale),
      [k, n],
    )
  }
  const flat = graph.node('Reshape', [graph.node('Gather', ['table', 'sparse']), graph.integers([-1, fields * dim])])
  const x = graph.node('Concat', [flat, 'dense'], { attributes: { axis: 1 } })
  const first = graph.node('Relu', [graph.node('Gemm', [x, weights('first', fields * dim + dense, hidden)])])
  const second = graph.node('Relu', [graph.node('Gemm', [first, weights('second', hidden, hidden)])])
  const logits = graph.node('Gemm', [second, weights('towers', hidden, tasks.length)])
  graph.node('Sigmoid', [logits], { outputs: ['probabilities'] })
  return graph
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

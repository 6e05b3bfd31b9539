// Measures the cost of a large embedding table: memory and startup time of a server with two workers, in float32 and in
// int8.
//   node build/loadtest/big-table.js [--ids 10000000] [--workers 2] [--out loadtest/results/big-table.md]
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import ort from 'onnxruntime-node'
import { sha256 } from '../src/model/serving/bundle/checksum.ts'
import { encodeQuantizationRows } from '../src/model/serving/bundle/quantization.ts'
import { createLayout } from '../src/model/serving/features/layout.ts'
import type { Features } from '../src/schemas/features.ts'
import { startServing } from '../src/tools/load/serving.ts'
import { main } from './entries.ts'
import { largeGraph, writeTable } from './large-graph.ts'
import { describeMachine } from './machine.ts'

const { ids, workers, out } = new Command('big-table')
  .description('Measure memory and startup time of a server whose model has a large table')
  .option('--ids <number>', 'rows of the table', Number, 10_000_000)
  .option('--workers <number>', 'worker threads', Number, 2)
  .option('--out <file.md>', 'also write the results here')
  .parse()
  .opts<{ ids: number; workers: number; out?: string }>()

const dim = 16
const fields = 8
const dense = 4
const hidden = 64
const tasks = ['ctr', 'cvr']
const mebibyte = 2 ** 20

const features: Features = [
  ...Array.from({ length: fields }, (_, i) => ({
    name: `field${i}`,
    side: i < fields / 2 ? ('context' as const) : ('candidate' as const),
    kind: 'integer' as const,
    size: Math.floor(ids / fields),
    out_of_vocabulary: 'error' as const,
    missing: 'error' as const,
  })),
  ...Array.from({ length: dense }, (_, i) => ({
    name: `value${i}`,
    side: i < dense / 2 ? ('context' as const) : ('candidate' as const),
    kind: 'numeric' as const,
    scaling: { method: 'none' as const },
    missing: 'error' as const,
  })),
]
const layout = createLayout(features)

const folder = await mkdtemp(join(tmpdir(), 'multigate-big-table-'))
try {
  console.error(`writing a table of ${ids.toLocaleString('en')} × ${dim} …`)
  const rows: string[][] = []
  for (const precision of ['float32', 'int8'] as const) {
    const models = join(folder, precision)
    await writeVersion(models, precision)
    for (const start of ['first', 'second']) {
      console.error(`${precision}, ${start} start …`)
      rows.push([precision, start, ...(await measure(models, precision))])
    }
    await rm(models, { recursive: true })
  }
  const { date, processor, versions } = await describeMachine(new Date())
  const table = (ids * dim * 4) / mebibyte
  const text = `# A large table

${date}, ${processor}, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. A table of ${ids.toLocaleString('en')} ids × ${dim},
${Math.round(table)} MiB in float32; ${workers} workers, each with the complete model. Memory: proportional set size, after every page of
the table has been read. Made by \`node build/loadtest/big-table.js\`.

| precision | start | ready after, s | compiling, s | process memory, MiB | shared files, MiB | largest difference |
| --- | --- | --: | --: | --: | --: | --: |
${rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}
`
  console.log(text)
  if (out !== undefined) await writeFile(out, text)
} finally {
  await rm(folder, { recursive: true, force: true })
}

/** Writes a shared-bottom model with its table in a separate file. */
async function writeVersion(models: string, precision: 'float32' | 'int8'): Promise<void> {
  const version = join(models, 'big', '1')
  await mkdir(version, { recursive: true })
  const shape = { ids, dim, fields, dense, hidden, tasks: tasks.length }
  await writeTable(join(version, 'table.bin'), shape)
  await writeFile(join(version, 'model.onnx'), largeGraph(version, shape).toBytes())
  const drawn = drawRows(4096)
  const quantization = encodeQuantizationRows({ ...drawn, labels: undefined })
  await writeFile(join(version, 'quantization.bin'), quantization)
  const files: Record<string, string> = {}
  for (const file of ['table.bin', 'model.onnx', 'quantization.bin']) files[file] = await sha256(join(version, file))
  const manifest = {
    manifest: 1,
    name: 'big',
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
    precision,
    quantization: { file: 'quantization.bin', rows: drawn.rows, labels: false },
    files,
  }
  await writeFile(join(version, 'manifest.json'), JSON.stringify(manifest))
}

function drawRows(count: number) {
  const sparse = new Int32Array(count * fields)
  for (let i = 0; i < sparse.length; i++) {
    const { offset, ids } = layout.sparse[i % fields]!
    sparse[i] = offset + Math.floor(Math.random() * ids)
  }
  return { rows: count, sparse, dense: Float32Array.from({ length: count * dense }, () => Math.random() * 2 - 1) }
}

async function measure(models: string, precision: string): Promise<string[]> {
  const started = performance.now()
  const server = await startServing(main, [], {
    ...process.env,
    MULTIGATE_PORT: '0',
    MULTIGATE_MODELS: models,
    MULTIGATE_CACHE: join(models, '.cache'),
    MULTIGATE_WORKERS: String(workers),
  })
  try {
    while ((await fetch(`${server.url}/readyz`)).status !== 200) await sleep(20)
    const seconds = (performance.now() - started) / 1000
    const details = (await (await fetch(`${server.url}/models/big`)).json()) as {
      plan: { precision: string; compile_seconds: number; notes: string[] }
    }
    if (details.plan.precision !== precision) throw new Error(`not ${precision}: ${details.plan.notes.join('; ')}`)
    const difference = await askEverything(server.url, join(models, 'big', '1', 'model.onnx'))
    const { whole, files } = await memoryOf(server.process.pid!)
    return [
      seconds.toFixed(1),
      details.plan.compile_seconds.toFixed(1),
      String(Math.round(whole / mebibyte)),
      String(Math.round(files / mebibyte)),
      difference.toExponential(1),
    ]
  } finally {
    await server.stop()
  }
}

/** Requests enough random ids to read every page of the table; returns the largest difference of an answer. */
async function askEverything(url: string, graph: string): Promise<number> {
  const perRequest = 500
  const pages = (ids * dim * 4) / 4096
  // Coupon collector: the number of draws grows with the logarithm of the number of pages.
  const requests = Math.ceil((pages * (Math.log(pages) + 2)) / (perRequest * fields)) * workers
  const ask = async () => {
    const { sparse, dense: values } = drawRows(perRequest)
    const body = { sparse: rowsOf(sparse, fields), dense: rowsOf(values, dense), options: { deadline_ms: 60_000 } }
    const answer = await fetch(`${url}/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (answer.status !== 200) throw new Error(`${answer.status}: ${await answer.text()}`)
    return {
      sparse,
      values,
      predictions: ((await answer.json()) as { predictions: Record<string, number>[] }).predictions,
    }
  }
  const { sparse, values, predictions } = await ask()
  let left = requests
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (left-- > 0) await ask()
    }),
  )
  const session = await ort.InferenceSession.create(graph)
  const expected = await session.run({
    sparse: new ort.Tensor('int32', sparse, [perRequest, fields]),
    dense: new ort.Tensor('float32', values, [perRequest, dense]),
  })
  const probabilities = expected.probabilities!.data as Float32Array
  await session.release()
  return predictions.reduce(
    (most, prediction, row) =>
      tasks.reduce(
        (most, task, i) => Math.max(most, Math.abs(prediction[task]! - probabilities[row * tasks.length + i]!)),
        most,
      ),
    0,
  )
}

function rowsOf(values: ArrayLike<number>, width: number): number[][] {
  return Array.from({ length: values.length / width }, (_, row) =>
    Array.from({ length: width }, (_, i) => values[row * width + i]!),
  )
}

/** Proportional set size, bytes: pages with several mappings count once. */
async function memoryOf(pid: number): Promise<{ whole: number; files: number }> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8')
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * 1024
  return { whole: read('Pss'), files: read('Pss_File') }
}

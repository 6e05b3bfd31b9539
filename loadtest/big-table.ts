// Measures the cost of a large embedding table: memory and startup time of a server with two workers, in float32 and in
// int8.
//   node build/loadtest/big-table.js [--ids 10000000] [--workers 2] [--out loadtest/results/big-table.md]
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Features } from '../src/schemas/features.ts'
import type { ModelDetails } from '../src/schemas/models.ts'
import { drawEncodedRows, matrix } from './bodies.ts'
import { post } from './clients.ts'
import { createReference, largestDifference } from './competitors/check.ts'
import { forms } from './competitors/forms.ts'
import { experiment, runMain, temporaryFolder } from './experiment.ts'
import { dim, evenFeatures, writeLargeVersion } from './large-version.ts'
import { mebibytes, tableOf } from './markdown.ts'
import { proportionalMemory, withMultigate } from './multigate.ts'

/** Sparse and numeric fields. */
const widths = { sparse: { fields: 8 }, dense: { fields: 4 } }

const bigTable = experiment({
  description: 'Measure memory and startup time of a server whose model has a large table',
  options: {
    ids: ['<number>', 'rows of the table', Number, 10_000_000],
    workers: ['<number>', 'worker threads', Number, 2],
  },
  async run({ ids, workers }, { machine: { date, processor, versions }, log }) {
    const folder = await temporaryFolder()
    const features = evenFeatures(ids)
    const rows: Record<string, string>[] = []
    for (const precision of ['float32', 'int8'] as const) {
      log(`writing a table of ${ids.toLocaleString('en')} × ${dim} …`)
      const models = join(folder, precision)
      await writeLargeVersion(models, { name: 'big', features, hidden: 64, precision, rows: 4096 })
      for (const start of ['first', 'second']) {
        log(`${precision}, ${start} start …`)
        rows.push({ precision, start, ...(await measure(models, precision, features, ids, workers)) })
      }
      await rm(models, { recursive: true })
    }
    return `# A large table

${date}, ${processor}, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. A table of ${ids.toLocaleString('en')} ids × ${dim},
${mebibytes(ids * dim * 4)} MiB in float32; ${workers} workers, each with the complete model. Memory: proportional set size, after every page of
the table has been read. Made by \`node build/loadtest/big-table.js\`.

${tableOf(rows, 2)}
`
  },
})

async function measure(models: string, precision: string, features: Features, ids: number, workers: number) {
  const settings = {
    MULTIGATE_CACHE: join(models, '.cache'),
    MULTIGATE_WORKERS: String(workers),
    MULTIGATE_DEADLINE_MS: '60000',
  }
  return withMultigate({ models, settings }, async ({ url, pid, ready }) => {
    const { plan } = (await (await fetch(`${url}/models/big`)).json()) as ModelDetails
    if (plan?.precision !== precision) throw new Error(`not ${precision}: ${plan?.notes.join('; ')}`)
    const difference = await askEverything(url, join(models, 'big/1/model.onnx'), features, ids, workers)
    const { all, files } = await proportionalMemory(pid)
    return {
      'ready after, s': ready.toFixed(1),
      'compiling, s': plan.compile_seconds!.toFixed(1),
      'process memory, MiB': mebibytes(all),
      'shared files, MiB': mebibytes(files),
      'largest difference': difference.toExponential(1),
    }
  })
}

/** Requests enough random ids to read every page of the table; returns the largest difference of an answer. */
async function askEverything(url: string, graph: string, features: Features, ids: number, workers: number) {
  const perRequest = 500
  const pages = (ids * dim * 4) / 4096
  // Coupon collector: the number of draws grows with the logarithm of the number of pages.
  const requests = Math.ceil((pages * (Math.log(pages) + 2)) / (perRequest * widths.sparse.fields)) * workers
  const ask = async (seed: number) => {
    const query = drawEncodedRows(features, perRequest, seed)
    const body = { sparse: matrix(perRequest, query.sparse), dense: matrix(perRequest, query.dense) }
    const answer = await post(`${url}/predict`, JSON.stringify(body))
    return { query, probabilities: forms.tensors.parse(Buffer.from(await answer.arrayBuffer())) }
  }
  const { query, probabilities } = await ask(1)
  let next = 2
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (next <= requests + 1) await ask(next++)
    }),
  )
  const reference = await createReference(graph, widths)
  return largestDifference(probabilities, await reference(query))
}

await runMain(bigTable, 'big-table', process.argv.slice(2))

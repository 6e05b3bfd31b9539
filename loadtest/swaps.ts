// Measures memory while the wide reference model is loaded, requested and unloaded repeatedly.
//   npm run loadtest -- swaps [--swaps 200] [--out loadtest/results/swaps.md]
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { startServing } from '../src/load/serving.ts'
import { defaultCache } from './competitors/arguments.ts'
import { prepareModel, referenceModels } from './competitors/models.ts'
import type { Machine } from './machine.ts'
import { table } from './markdown.ts'

const mebibyte = 2 ** 20

interface Sample {
  swaps: number
  resident: number
}

/** Unloads and loads the model many times and reports the size of the process. */
export async function measureSwaps(
  argv: readonly string[],
  machine: Machine,
  log: (line: string) => void,
): Promise<void> {
  const { swaps, out } = new Command('npm run loadtest -- swaps')
    .description('Measure the memory of a process that repeatedly loads and unloads a version')
    .option('--swaps <number>', 'number of swaps', Number, 200)
    .option('--out <file.md>', 'also write the results here')
    .parse(argv, { from: 'user' })
    .opts<{ swaps: number; out?: string }>()
  const { models } = await prepareModel(referenceModels.prod, defaultCache())
  const script = fileURLToPath(new URL('../src/main.js', import.meta.url))
  const settings = { MULTIGATE_ADMIN: 'true', MULTIGATE_POLL_SECONDS: '0', MULTIGATE_WARM_UP_MS: '0' }
  const args = ['--port', '0', '--models', models]
  const server = await startServing(script, args, { ...process.env, ...settings })
  const { url } = server
  const get = async (path: string) => (await fetch(new URL(path, url))).text()
  const post = async (path: string, body: unknown) => {
    const answer = await fetch(new URL(path, url), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
    if (!answer.ok) throw new Error(`${path} answers ${answer.status}: ${await answer.text()}`)
    await answer.arrayBuffer()
  }
  const { sparse, dense } = referenceModels.prod
  const rows = Array.from({ length: 100 }, (_, row) => row)
  const body = {
    sparse: rows.map((row) =>
      Array.from({ length: sparse.fields }, (_, field) => field * sparse.ids + ((row * 31) % sparse.ids)),
    ),
    dense: rows.map((row) => Array.from({ length: dense.fields }, (_, field) => (row + field) / 100)),
  }
  while ((await fetch(new URL('/readyz', url))).status !== 200) await new Promise((resolve) => setTimeout(resolve, 100))
  const samples: Sample[] = []
  const sample = async (done: number) => {
    const metrics = await get('/metrics')
    const resident = Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]) / mebibyte
    samples.push({ swaps: done, resident })
    log(`${done} swaps: ${resident.toFixed(0)} MiB resident`)
  }
  for (let done = 0; ; done++) {
    for (let i = 0; i < 10; i++) await post('/predict', { model: 'prod', ...body })
    if (done % 20 === 0 || done === 10 || done === swaps) await sample(done)
    if (done === swaps) break
    await post('/v2/repository/models/prod/unload', {})
    await post('/v2/repository/models/prod/load', {})
  }
  await server.stop()
  const { date, processor, versions } = machine
  const text = `# Memory after loading and unloading a version

${date}, ${processor}, Node ${versions.node}. The reference model prod is unloaded and loaded again, and asked for 100 rows ten times after each load.
Made by \`npm run loadtest -- swaps\`.

${table<Sample>(
  { swaps: ({ swaps }) => String(swaps), 'resident, MiB': ({ resident }) => resident.toFixed(0) },
  samples,
)}
`
  console.log(text)
  if (out) await writeFile(out, text)
}

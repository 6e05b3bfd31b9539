// Measures the longest stall caused by a single request: a second client requests /livez continuously.
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { median } from '../src/base/arrays.ts'
import { askRepeatedly, candidates, context, statusOf } from './clients.ts'
import { experiment, inTurns } from './experiment.ts'
import { table } from './markdown.ts'
import { withMultigate } from './multigate.ts'

/** Default limit of a body, bytes. */
const largest = 4_194_304

const columns = (count: number) => {
  const rows = candidates(count)
  return { campaign: rows.map(({ campaign }) => campaign), price: rows.map(({ price }) => price) }
}
/** The largest body of repeated items between `head` and `tail`. */
const full = (head: string, item: string, tail: string) =>
  `${head}${Array(Math.floor((largest - head.length - tail.length) / (item.length + 1))).fill(item)}${tail}`
const infer = '/v2/models/ads-funnel/infer'
const serving = '/v1/models/ads-funnel:predict'

const cases: [name: string, path: string, body: string, gzip?: boolean][] = [
  ['second client only', '/livez', ''],
  ['100 candidates', '/predict', JSON.stringify({ context, candidates: candidates(100) })],
  ['2,000 candidates', '/predict', JSON.stringify({ context, candidates: candidates(2000) })],
  ['10,000 candidates', '/predict', JSON.stringify({ context, candidates: candidates(10_000) })],
  ['10,000 candidates as columns', '/predict', JSON.stringify({ context, candidates: columns(10_000) })],
  [
    '10,000 instances',
    serving,
    JSON.stringify({ instances: candidates(10_000).map(({ id: _, ...row }) => ({ ...context, ...row })) }),
  ],
  ...(['{}', '[]', '0', '""', '{"a":[0]}'] as const).flatMap((item): typeof cases => [
    [`4 MiB of candidates ${item}`, '/predict', full('{"candidates":[', item, ']}')],
    [`4 MiB of instances ${item}`, serving, full('{"instances":[', item, ']}')],
    [`4 MiB of inputs ${item}`, infer, full('{"inputs":[', item, ']}')],
  ]),
  ['4 MiB of outputs 0', infer, full('{"inputs":[{"name":"a","shape":[1],"datatype":"FP32"}],"outputs":[', '0', ']}')],
  ['4 MiB of shape −1', infer, full('{"inputs":[{"name":"a","datatype":"FP32","shape":[', '-1', ']}]}')],
  ['4 MiB of tasks', '/predict', full('{"candidates":[{}],"tasks":[', '"ctr"', ']}')],
  ['4 MiB of sparse [0]', '/predict', full('{"sparse":[', '[0]', ']}')],
  ['4 MiB of brackets', '/predict', `{"context":${'['.repeat(2_000_000)}${']'.repeat(2_000_000)}}`],
  ['4 MiB of different names', '/predict', `{${Array.from({ length: 300_000 }, (_, i) => `"n${i}":0`)}}`],
  ['256 KiB of candidates {}', '/predict', `{"candidates":[${Array(87_000).fill('{}')}]}`],
  ['256 KiB of different names', '/predict', `{${Array.from({ length: 24_000 }, (_, i) => `"${i}":0`)}}`],
  ['a gzip body of 128 MB', '/predict', ' '.repeat(128_000_000), true],
  ['a gzip body of 16 MB of inputs {}', infer, `{"inputs":[${Array(5_300_000).fill('{}')}]}`, true],
]

/** Sends each request several times and reports the longest wait of the second client. */
export default experiment({
  description: 'Measure the longest stall caused by a single request',
  options: {
    models: ['<folder>', 'folder of models, with ads-funnel in it', String, 'models'],
    repeats: ['<number>', 'repetitions of each request', Number, 5],
  },
  async run({ models, repeats }, { machine: { date, processor, versions }, log }) {
    const runs = await withMultigate({ models, settings: { MULTIGATE_DEADLINE_MS: '60000' } }, ({ url }) =>
      inTurns(cases, repeats, ([name, path, body, gzip], round) => {
        if (name === cases[0]![0]) log(`round ${round + 1} of ${repeats}`)
        return measure(url, path, body, gzip)
      }),
    )
    return `# Longest stall of a single request

${date}, ${processor}, Node ${versions.node}. One client sends a request; another asks for /livez all the time, and waits at the longest as long as
this, ms, the client's own time included. ${repeats} times each. Made by \`npm run loadtest -- stalls\`.

${table(
  {
    request: ([name]) => name,
    status: ([, runs]) => String(runs.at(-1)!.status || '–'),
    'median, ms': ([, runs]) => median(runs.map(({ stall }) => stall)).toFixed(0),
    'longest, ms': ([, runs]) => Math.max(...runs.map(({ stall }) => stall)).toFixed(0),
  },
  cases.map(([name], i) => [name, runs[i]!] as const),
)}
`
  },
})

async function measure(url: string, path: string, body: string, gzip = false) {
  const bytes = gzip ? gzipSync(body) : Buffer.from(body)
  const second = askRepeatedly(new URL('/livez', url))
  const headers: Record<string, string> = gzip ? { 'content-encoding': 'gzip' } : {}
  const status = body === '' ? 0 : await statusOf(new URL(path, url), { body: bytes, headers })
  // Garbage from a request also stalls later ones.
  await sleep(300)
  return { status, stall: (await second.stop()).longest }
}

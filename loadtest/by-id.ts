// Measures requests by id beside the same requests with their values: processor time of the main thread and of all
// threads, bytes, and how long an answer takes.
import { cp, readFile, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { median } from '../src/base/arrays.ts'
import { manifestFile } from '../src/model/serving/bundle/manifest.ts'
import type { Entities } from '../src/schemas/entities.ts'
import type { Manifest } from '../src/schemas/manifest.ts'
import { createRandom, type Random } from '../src/tools/data/random.ts'
import { importTable } from '../src/tools/features/import-table.ts'
import { defaultCache } from './competitors/arguments.ts'
import { prepareModel, referenceModels } from './competitors/models.ts'
import { fieldsOf } from './competitors/processor-time.ts'
import { experiment, inTurns, type Log, temporaryFolder } from './experiment.ts'
import { tableOf } from './markdown.ts'
import { type Multigate, shipped, withMultigate } from './multigate.ts'

/** Candidates of a request, and the keys that they are drawn from. */
const candidates = 100
const ads = 4000
const users = 1000
/** Different requests. */
const distinct = 400
/** Requests of a run, and how many wait for their answers at a time. */
const ofARun = 800
const together = 4

/** Values by field, of each ad or user. */
type Values = Record<string, string | number>

/** A model whose candidates and users are in tables. */
export interface Subject {
  title: string
  models: string
  name: string
  ads: Values[]
  users: Values[]
  /** Fields of the context that no table has. */
  now: (random: Random) => Values
}

export interface Form {
  title: string
  body(subject: Subject, user: number, of: readonly number[], now: Values): object
}

/** A user's key, and those of candidates. */
export const ids: Form = {
  title: 'ids',
  body: (_, user, of, now) => ({ context: { user_id: userId(user), ...now }, candidates: of.map(adId) }),
}

/** A user and some ads: with their values in two forms, and by id in two. */
const forms: Form[] = [
  {
    title: 'columns',
    body: (subject, user, of, now) => ({
      context: { ...subject.users[user], ...now },
      candidates: Object.fromEntries(
        Object.keys(subject.ads[0]!).map((field) => [field, of.map((ad) => subject.ads[ad]![field])]),
      ),
    }),
  },
  {
    title: 'rows',
    body: (subject, user, of, now) => ({
      context: { ...subject.users[user], ...now },
      candidates: of.map((ad) => subject.ads[ad]),
    }),
  },
  ids,
  {
    title: 'a column of ids',
    body: (_, user, of, now) => ({ context: { user_id: userId(user), ...now }, candidates: { ad_key: of.map(adId) } }),
  },
]

export const adId = (ad: number) => `ad-${100_000 + ad}`
const userId = (user: number) => `u${user}`

export interface Cost {
  /** µs of a request on the main thread, and on all threads. */
  main: number
  all: number
}

const options = { rounds: ['<number>', 'runs of each form, in turns', Number, 12] } as const

export default experiment({
  description: 'Measure requests by id beside the same ones with values',
  options,
  async run({ rounds }, { machine: { date, processor, versions }, log }) {
    const folder = await temporaryFolder()
    const rows: Record<string, string>[] = []
    for (const subject of [await adsFunnel(folder), await wide(folder)])
      rows.push(...(await withMultigate({ models: subject.models }, (server) => measure(server, subject, rounds, log))))
    return `# Requests by id

${date}, ${processor}, Node ${versions.node}, onnxruntime-node ${versions['onnxruntime-node']}. One user and ${candidates} candidates, drawn
from ${ads.toLocaleString('en')} ads and ${users.toLocaleString('en')} users, ${together} requests at a time, in medians of ${rounds} runs of ${ofARun} requests in turns. Answers are
equal. Processor time is that of the server process; candidates of the wide model are cached. The share is that of the
median of paired runs. Made by \`npm run loadtest -- by-id\`.

${tableOf(rows)}
`
  },
})

async function measure(server: Multigate, subject: Subject, rounds: number, log: Log) {
  const bodies = forms.map((form) => {
    const random = createRandom(5)
    return Array.from({ length: distinct }, () => draw(subject, form, candidates, random))
  })
  await expectEqual(server, subject, bodies)
  const run = (form: Form) => costOf(server, bodies[forms.indexOf(form)]!)
  log(`${subject.title}: warming up`)
  await inTurns(forms, 3, run)
  const costs = await inTurns(forms, rounds, (form, round) => {
    if (form === forms[0]) log(`${subject.title}: round ${round + 1} of ${rounds}`)
    return run(form)
  })
  const [columns] = costs as [Cost[]]
  const random = createRandom(6)
  const share = (of: readonly Cost[], which: keyof Cost) =>
    median(of.map((cost, i) => cost[which] / columns[i]![which])).toFixed(2)
  const rows = []
  for (const [i, form] of forms.entries()) {
    const many = Array.from({ length: 100 }, () => draw(subject, form, 1000, random))
    const waits: number[] = []
    for (const body of many) {
      const began = performance.now()
      await post(server.url, body)
      waits.push(performance.now() - began)
    }
    const us = (which: keyof Cost) => median(costs[i]!.map((cost) => cost[which])).toFixed(0)
    rows.push({
      model: subject.title,
      form: form.title,
      'bytes a request': Math.round(bodies[i]!.reduce((sum, body) => sum + body.length, 0) / distinct).toLocaleString(
        'en',
      ),
      'main thread, µs': us('main'),
      'of columns': share(costs[i]!, 'main'),
      'all threads, µs': us('all'),
      'of columns’': share(costs[i]!, 'all'),
      '1,000 candidates, p50 ms': median(waits).toFixed(2),
    })
  }
  return rows
}

/** A request for `count` random ads. */
export function draw(subject: Subject, form: Form, count: number, random: Random): Buffer {
  const of = Array.from({ length: count }, () => random.integer(subject.ads.length))
  return Buffer.from(JSON.stringify(form.body(subject, random.integer(users), of, subject.now(random))))
}

const agent = new Agent({ keepAlive: true })

export function post(url: string, body: Buffer | string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    const sent = request(new URL('/predict', url), { method: 'POST', agent, headers }, async (response) => {
      let text = ''
      for await (const part of response.setEncoding('utf8')) text += part
      if (response.statusCode === 200) resolve(text)
      else reject(new Error(text))
    })
    sent.once('error', reject)
    sent.end(body)
  })
}

/** The answers to all forms of some requests must be the same, but for the last digits of another variant. */
async function expectEqual({ url }: Multigate, { name }: Subject, bodies: Buffer[][]): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const answers = await Promise.all(
      bodies.map(async (of) => clicksOf(JSON.parse(await post(url, of[i]!)).predictions)),
    )
    const [columns, ...others] = answers as [number[], ...number[][]]
    for (const other of others)
      if (other.length !== columns.length || other.some((value, row) => Math.abs(value - columns[row]!) > 1e-6))
        throw new Error(`answers of ${name} differ by the form`)
  }
}

/** Rows and columns alike. */
const clicksOf = (predictions: Record<string, number>[] | Record<string, number[]>): number[] =>
  Array.isArray(predictions) ? predictions.map(({ ctr }) => ctr!) : predictions.ctr!

async function costOf({ url, pid }: Multigate, bodies: readonly Buffer[]): Promise<Cost> {
  const before = await processorTime(pid)
  let next = 0
  const client = async () => {
    while (next < ofARun) await post(url, bodies[next++ % bodies.length]!)
  }
  await Promise.all(Array.from({ length: together }, client))
  const after = await processorTime(pid)
  return { main: (after.main - before.main) / ofARun, all: (after.all - before.all) / ofARun }
}

/** Processor time of a process, µs: of its main thread, and of all. */
export async function processorTime(pid: number): Promise<Cost> {
  const [schedule, stat] = await Promise.all([
    readFile(`/proc/${pid}/task/${pid}/schedstat`, 'utf8'),
    readFile(`/proc/${pid}/stat`, 'utf8'),
  ])
  const fields = fieldsOf(stat)
  // In ticks of 10 ms.
  const ticks = Number(fields[11]) + Number(fields[12])
  return { main: Number(schedule.split(' ')[0]) / 1000, all: ticks * 10_000 }
}

/** Writes a version with entities, and their tables. */
async function writeSubject(
  { title, name, now, ...values }: Omit<Subject, 'models'>,
  source: string,
  folder: string,
): Promise<Subject> {
  const models = join(folder, name)
  const version = join(models, name, '1')
  await cp(source, version, { recursive: true })
  const file = join(version, manifestFile)
  const manifest = JSON.parse(await readFile(file, 'utf8')) as Manifest
  const fields = (of: readonly Values[]) => Object.keys(of[0]!)
  const entities: Entities = {
    ad: { key: 'ad_key', side: 'candidate', table: 'ads', features: fields(values.ads), unknown: 'refuse' },
    user: { key: 'user_id', side: 'context', table: 'users', features: fields(values.users), unknown: 'refuse' },
  }
  await writeFile(file, JSON.stringify({ ...manifest, entities }))
  for (const [table, rows, keyOf] of [
    ['ads', values.ads, adId],
    ['users', values.users, userId],
  ] as const) {
    const lines = join(folder, `${table}.jsonl`)
    await writeFile(lines, rows.map((row, i) => JSON.stringify({ key: keyOf(i), ...row })).join('\n'))
    await importTable({
      ...{ file: lines, models, name: table, key: 'key', columns: undefined, text: [], lists: new Map() },
      ...{ doubled: 'refuse', version: undefined, signal: new AbortController().signal, onProgress: () => undefined },
    })
  }
  return { title, name, now, models, ...values }
}

/** The shipped model, with ads and users of its own vocabularies. */
export async function adsFunnel(folder: string, count = ads): Promise<Subject> {
  const source = join(shipped, 'ads-funnel', '1')
  const manifest = JSON.parse(await readFile(join(source, manifestFile), 'utf8')) as Manifest
  const random = createRandom(1)
  const valuesOf = (name: string) => {
    const field = manifest.features.find((one) => one.name === name)
    const values = field?.kind === 'vocabulary' && Array.isArray(field.values) ? (field.values as string[]) : []
    return values[random.integer(values.length)]!
  }
  const ad = (): Values => ({
    ...Object.fromEntries(['campaign', 'advertiser', 'category', 'format'].map((name) => [name, valuesOf(name)])),
    ...{ price: Math.round(random.uniform() * 500) / 100, quality: Math.round(random.uniform() * 1000) / 1000 },
    age_days: random.integer(60),
  })
  const user = (i: number): Values => ({
    ...{ country: valuesOf('country'), segment: valuesOf('segment'), user: userId(i) },
  })
  const subject = {
    ...{ title: 'ads-funnel', name: 'ads-funnel' },
    ads: Array.from({ length: count }, ad),
    users: Array.from({ length: users }, (_, i) => user(i)),
    now: (random: Random) => ({ hour: random.integer(24), device: 'phone', weekday: 3 }),
  }
  return writeSubject(subject, source, folder)
}

/** The wide model of the comparison with other servers. */
async function wide(folder: string): Promise<Subject> {
  const model = referenceModels.prod
  const { models } = await prepareModel(model, defaultCache())
  const source = join(models, model.name, '1')
  const { features } = JSON.parse(await readFile(join(source, manifestFile), 'utf8')) as Manifest
  const random = createRandom(2)
  const valuesOf = (side: 'context' | 'candidate'): Values =>
    Object.fromEntries(
      features.flatMap((field) => {
        if (field.side !== side) return []
        const value = field.kind === 'integer' ? random.integer(field.size) : Math.round(random.uniform() * 1e4) / 1e4
        return [[field.name, value] as const]
      }),
    )
  const subject = {
    ...{ title: 'wide', name: model.name },
    ads: Array.from({ length: ads }, () => valuesOf('candidate')),
    users: Array.from({ length: users }, () => valuesOf('context')),
    now: () => ({}),
  }
  return writeSubject(subject, source, folder)
}

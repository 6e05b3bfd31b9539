import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Tables } from '../../src/model/serving/tables/tables.ts'
import type { Manifest } from '../../src/schemas/manifest.ts'
import type { WantedPrecision } from '../../src/tools/catalogue/judge-precision.ts'
import { runWarm } from '../../src/tools/catalogue/run-warm.ts'
import { temporaryFolder } from './bundle.ts'
import { startTestServer, type TestServer } from './server.ts'

const shipped = join(import.meta.dirname, '../../../models/ads-funnel')
// Whatever they cost here, cached candidates pay.
export const costs = {
  full: { a: 10, b: 10 },
  shared_context: { a: 5, b: 5 },
  candidate_encoder: { a: 1, b: 1 },
  cached: { a: 1, b: 1 },
}

export interface Ad {
  campaign: string
  price: number
  category?: string
}

export const ad = (i: number): Ad => ({ campaign: `c${i % 300}`, price: 0.25 * (1 + (i % 7)), category: `k${i % 12}` })
export const ads = Array.from({ length: 600 }, (_, i) => ad(i))
export const unknown = Array.from({ length: 20 }, (_, i) => ({ ...ad(i), price: 99 + i }))

export function csvOf(rows: readonly Ad[]): string {
  return [
    'note,campaign,price,category',
    ...rows.map(({ campaign, price, category }) => `x,${campaign},${price},${category}`),
  ].join('\n')
}

/** A folder of models with ads-funnel, of this precision. */
export async function modelsOf(t: Test, precision: Manifest['precision'] = 'float32'): Promise<string> {
  const models = await temporaryFolder(t)
  await cp(shipped, join(models, 'ads-funnel'), { recursive: true })
  const file = join(models, 'ads-funnel/1/manifest.json')
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), precision }))
  return models
}

export async function serve(t: Test, models: string, plans: string): Promise<TestServer & { warnings: string[] }> {
  const warnings: string[] = []
  const onWarning = (message: string) => warnings.push(message)
  const compiler = { cache: plans, candidateBytes: 1 << 22, now: Date.now, onWarning, costs }
  const tables = new Tables(models)
  await tables.refresh()
  return { ...(await startTestServer(t, { models, tables, limits: { compiler } })), warnings }
}

export const read = async ({ fastify }: TestServer, url: string) => (await fastify.inject({ method: 'GET', url })).body
export const details = async (server: TestServer) => JSON.parse(await read(server, '/models/ads-funnel'))
export const metricIn = (text: string, name: string, labels = '') =>
  Number(new RegExp(`^${name}\\{model="ads-funnel",version="1"${labels}\\} (\\S+)$`, 'm').exec(text)?.[1])
export const metric = async (server: TestServer, name: string, labels = '') =>
  metricIn(await read(server, '/metrics'), name, labels)

export const body = (candidates: readonly Ad[], hour = 9) => ({
  model: 'ads-funnel',
  context: { country: 'DE', hour, segment: 's17' },
  candidates,
})
export const predictions = ({ body }: { body: { predictions: Record<string, number>[] } }) =>
  body.predictions.map(({ ctr, cvr }) => [ctr, cvr])

/** Runs `multigate warm` in this process; returns its JSON. */
export async function warm(
  target: string,
  plans: string,
  file: string | undefined,
  { precision = 'auto' as WantedPrecision, update = false } = {},
) {
  let text = ''
  const out = { write: (part: string) => (text += part) }
  const { signal } = new AbortController()
  const silent = { write: () => undefined }
  const options = { target, models: 'models', file, update, precision, cache: plans, json: true }
  await runWarm({ ...options, signal, out, err: silent })
  return JSON.parse(text)
}

export const versionOf = (models: string) => join(models, 'ads-funnel/1')

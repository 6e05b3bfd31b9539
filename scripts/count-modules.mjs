// Counts the modules of src/ that the main thread executes for one POST /predict of a warm server, and lists them.
//   node scripts/count-modules.mjs [--list] [folder of compiled sources, default build/src]
import { Session } from 'node:inspector/promises'
import { join, relative, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const list = process.argv.includes('--list')
const folder = resolve(process.argv.slice(2).find((arg) => !arg.startsWith('--')) ?? 'build/src')
const { createServer } = await import(pathToFileURL(join(folder, 'index.js')).href)
const server = await createServer({
  models: resolve(import.meta.dirname, '../models'),
  requiredModels: 'ads-funnel',
  port: 0,
  logLevel: 'silent',
})
const body = JSON.stringify({
  model: 'ads-funnel',
  context: { country: 'DE', hour: 21, segment: 's17' },
  candidates: [{ id: 'ad-1', campaign: 'c9', price: 1.25 }],
})
const ask = async () => {
  const response = await fetch(`${server.url}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`)
  await response.text()
}
await server.ready
for (let i = 0; i < 20; i++) await ask()

const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
await session.post('Profiler.takePreciseCoverage')
await ask()
const { result } = await session.post('Profiler.takePreciseCoverage')
const modules = result
  .filter(({ url, functions }) => url.startsWith(pathToFileURL(folder).href) && functions.some(executes))
  .map(({ url }) => relative(folder, new URL(url).pathname).replace(/\.js$/, '.ts'))
  .sort()
if (list) for (const module of modules) console.log(module)
console.log(`${modules.length} modules`)
await server.close()

function executes({ ranges }) {
  return ranges.some(({ count }) => count > 0)
}

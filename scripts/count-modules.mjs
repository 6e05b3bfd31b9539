// Lists the modules of src/ that answer `POST /predict` on a warm server, in all of its threads, by kind of request.
//   node scripts/count-modules.mjs [--list | --json] [folder of compiled sources, default build/src]
// docs/architecture.md names these modules, and a test compares them with `--json`: an object from kind to modules.
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { Session } from 'node:inspector/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { list: { type: 'boolean' }, json: { type: 'boolean' } },
})
const folder = resolve(positionals[0] ?? 'build/src')
const { createServer } = await import(pathToFileURL(join(folder, 'index.js')).href)

const model = 'ads-funnel'
const context = { country: 'DE', hour: 21, segment: 's17' }
const candidates = (rows) => Array.from({ length: rows }, (_, i) => ({ campaign: `c${i % 40}`, price: 1 + i / 8 }))
const asRows = (rows, headers = {}) => ({ headers, body: { model, context, candidates: candidates(rows) } })

/** By kind: a request. The fast path takes no `origin`, and no body above 64 KiB; a thread reads the largest. */
const requests = {
  'on the main thread': asRows(1),
  'in a worker': asRows(200),
  "on Fastify's route": asRows(1, { origin: 'https://ads.example' }),
  'with a large body': asRows(8000),
}

/** Servers that start until one finds a row cheaper on the main thread: it measures, and a machine may be busy. */
const mostServers = 5

let modules
for (let i = 0; i < mostServers && !modules?.['on the main thread'].includes('model/engines/small/products.ts'); i++)
  modules = await modulesByRequest()
print(modules)

async function modulesByRequest() {
  const models = await mkdtemp(join(tmpdir(), 'multigate-'))
  await cp(resolve(import.meta.dirname, '../models', model), join(models, model), { recursive: true })
  // Nothing happens beside the requests.
  const server = await createServer({
    models,
    pollSeconds: 0,
    warmUpMs: 0,
    console: false,
    // Whether a cached candidate pays depends on measured times.
    candidateCacheBytes: 0,
    workers: 1,
    // However busy the machine is.
    deadlineMs: 600_000,
    drainDelayMs: 0,
    port: 0,
    logLevel: 'silent',
  })
  await server.ready
  const coverage = await startCoverage()
  const found = {}
  for (const [kind, request] of Object.entries(requests)) {
    // Work done once, such as a thread's start, is not the request's; nor is a timer's, which few requests meet.
    for (let i = 0; i < 20; i++) await ask(server.url, request)
    await coverage.take()
    const takes = []
    for (let i = 0; i < 3; i++) {
      await ask(server.url, request)
      takes.push(await coverage.take())
    }
    found[kind] = takes[0].filter((module) => takes.every((take) => take.includes(module)))
  }
  await coverage.stop()
  await server.close()
  await rm(models, { recursive: true })
  return found
}

async function ask(url, { headers, body }) {
  const response = await fetch(`${url}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${response.status}: ${text}`)
}

/** Counts the calls of functions in this thread and in its workers, those that start later as well. */
async function startCoverage() {
  const session = new Session()
  session.connect()
  const threads = new Map()
  const begin = async (post) => {
    await post('Profiler.enable')
    await post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  }
  session.on('NodeWorker.attachedToWorker', ({ params: { sessionId } }) => {
    const post = workerPost(session, sessionId)
    threads.set(sessionId, { post, begun: begin(post) })
  })
  session.on('NodeWorker.detachedFromWorker', ({ params: { sessionId } }) => threads.delete(sessionId))
  await session.post('NodeWorker.enable', { waitForDebuggerOnStart: false })
  const here = (method, params) => session.post(method, params)
  threads.set('main', { post: here, begun: begin(here) })
  return {
    /** The modules of which a function was called since the last time, sorted. */
    async take() {
      const all = await Promise.all(
        [...threads.values()].map(async ({ post, begun }) => {
          await begun
          const { result } = await post('Profiler.takePreciseCoverage')
          return result.filter(({ functions }) => functions.some(isCalled)).map(({ url }) => url)
        }),
      )
      return [...new Set(all.flat().filter((url) => url.startsWith(pathToFileURL(folder).href)))]
        .map((url) => relative(folder, fileURLToPath(url)).replace(/\.js$/, '.ts'))
        .sort()
    },
    async stop() {
      await session.post('NodeWorker.disable')
      session.disconnect()
    },
  }
}

function isCalled({ ranges }) {
  return ranges.some(({ count }) => count > 0)
}

/** Posts to the inspector of a worker; resolves with its result. */
function workerPost(session, sessionId) {
  let next = 0
  const waiting = new Map()
  session.on('NodeWorker.receivedMessageFromWorker', ({ params }) => {
    if (params.sessionId !== sessionId) return
    const { id, result } = JSON.parse(params.message)
    waiting.get(id)?.(result)
    waiting.delete(id)
  })
  return (method, params = {}) =>
    new Promise((resolve, reject) => {
      const id = next++
      waiting.set(id, resolve)
      session
        .post('NodeWorker.sendMessageToWorker', { sessionId, message: JSON.stringify({ id, method, params }) })
        .catch(reject)
    })
}

function print(modules) {
  if (values.json) {
    console.log(JSON.stringify(modules))
    return
  }
  for (const [kind, names] of Object.entries(modules)) {
    console.log(`${kind}: ${names.length} modules`)
    if (values.list) for (const name of names) console.log(`  ${name}`)
  }
}

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import t, { type Test } from 'tap'
import { temporaryFolder } from './support/bundle.ts'
import { type Answer, differenceOf, type Request, readPage, readRequests, type Start } from './support/example-page.ts'
import { startProcess } from './support/process.ts'
import { until } from './support/until.ts'

/*
 * examples/: every command of their pages runs in order, as it stands there but for the ports, and answers what the
 * page shows.
 */

const root = join(import.meta.dirname, '../..')
const skip = spawnSync('bash', ['-c', 'curl --version']).status !== 0 && 'bash or curl is not installed'
const names = ['curl', 'fastify-plugin', 'node-ad-server']
const pages = new Map<string, ReturnType<typeof readPage>>()
for (const name of names) pages.set(name, readPage(await readFile(join(root, 'examples', name, 'README.md'), 'utf8')))

// Pins are written into the folder.
const models = await temporaryFolder(t)
for (const name of ['ads-funnel', 'census-income'])
  await cp(join(root, 'models', name), join(models, name), { recursive: true })
const [npmStart] = startsOf('curl')
const multigate = await startProcess(t, { MULTIGATE_MODELS: models, ...npmStart!.env })
const origin = `http://127.0.0.1:${multigate.port}`
const tools = await writeCurl()

t.test('every example has a page, of one screen, and is run here', async (t) => {
  const entries = await readdir(join(root, 'examples'), { withFileTypes: true })
  t.same(
    entries
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort(),
    names,
  )
  for (const name of names) {
    const page = await readFile(join(root, 'examples', name, 'README.md'), 'utf8')
    t.ok(page.split('\n').length <= 60, `${name}: ${page.split('\n').length} lines`)
  }
})

t.test('curl', { skip }, async (t) => {
  await runPage(t, 'curl')
  const script = startsOf('curl').find(({ command }) => command === 'bash')!.script!
  const requests = readRequests(await readFile(join(root, script), 'utf8'))
  compare(t, requests, await answersOf([script, origin]))
  await t.test('its script has every operation of the API', async (t) => {
    const { paths } = (await (await fetch(`${origin}/docs/json`)).json()) as { paths: Record<string, object> }
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${unversioned(path)}`),
    )
    const asked = requests.map(({ command }) => {
      const method = / (?:-X POST|-d) ?/.test(command) ? 'post' : 'get'
      return `${method} ${unversioned(/\$url([^"?]+)/.exec(command)![1]!)}`
    })
    const isAsked = (operation: string) => {
      const pattern = new RegExp(`^${operation.replaceAll(/\{\w+\}/g, '[^/:]+')}$`)
      return asked.some((one) => pattern.test(one))
    }
    t.ok(operations.length > 40)
    t.same(
      operations.filter((operation) => !isAsked(operation)),
      [],
    )
  })
})

t.test('fastify-plugin', { skip }, (t) => runPage(t, 'fastify-plugin', 'the models are ready'))

t.test('node-ad-server', { skip }, async (t) => {
  await runPage(t, 'node-ad-server')
  const example = await startExample(t, startsOf('node-ad-server').find(({ command }) => command === 'node')!)
  const ads = async (query: string) => {
    const response = await fetch(`http://127.0.0.1:${example.port}/ads?${query}`)
    return { status: response.status, ...((await response.json()) as object) }
  }
  const visitor = 'country=DE&segment=s17&hour=21'
  const fallback = (reason: string) => ({ status: 200, ranked_by: 'fallback', reason, ads: ['ad-4', 'ad-3'] })

  for (const query of ['', 'country=DE', `${visitor}.5`, `${visitor}&timeout_ms=0`, `${visitor}&timeout_ms=x`])
    t.match(await ads(query), { status: 400, error: String }, query)

  multigate.child.kill('SIGSTOP')
  t.same(await ads(`${visitor}&timeout_ms=50`), fallback('TIMEOUT'), 'a ranker that says nothing')
  multigate.child.kill('SIGCONT')
  t.match(await ads(`${visitor}&timeout_ms=9000`), { ranked_by: 'model' }, 'it answers again')

  await fetch(`${origin}/v2/repository/models/ads-funnel/unload`, { method: 'POST' })
  t.same(await ads(`${visitor}&timeout_ms=9000`), fallback('NOT_READY'), 'a ranker that is not ready')
  t.equal(example.errors(), '', 'none of this is logged as a fault of the program')

  multigate.child.kill('SIGKILL')
  await multigate.ended
  t.same(await ads(`${visitor}&timeout_ms=9000`), fallback('UNREACHABLE'), 'no ranker')
})

function startsOf(name: string): Start[] {
  return pages.get(name)!.flatMap((block) => ('command' in block ? [block] : []))
}

/** One form of each path is enough: of the default version, of a version or of a label. */
function unversioned(path: string): string {
  return path.replace(/\/(versions|labels)\/[^/:]+/, '')
}

/**
 * Runs a page's blocks in their order. An example that it starts has said `ready` before the next block, and ends well.
 */
async function runPage(t: Test, name: string, ready?: string): Promise<void> {
  let example: Example | undefined
  for (const block of pages.get(name)!) {
    if ('requests' in block) {
      for (const request of block.requests) {
        const command = request.command
          .replaceAll(':3000', `:${multigate.port}`)
          .replaceAll(':8080', `:${example?.port}`)
        compare(t, [request], await answersOf(['-c', command]))
      }
    } else if (block.command === 'node') {
      await example?.stop()
      example = await startExample(t, block, ready)
    }
  }
  await example?.stop()
}

function compare(t: Test, requests: readonly Request[], answers: readonly Answer[]): void {
  t.equal(answers.length, requests.length)
  for (const [i, { command, answer }] of requests.entries()) {
    const actual = answers[i] ?? { status: 0, body: '' }
    t.equal(differenceOf(answer, actual), undefined, `${command}\n${actual.status} ${actual.body.slice(0, 1000)}`)
  }
}

/**
 * A `curl` that also adds its answer and the status to a file. However slow the machine, only a deadline of the page is
 * missed.
 */
async function writeCurl(): Promise<string> {
  const folder = await temporaryFolder(t)
  const script = `#!/bin/sh
case "$*" in *x-deadline-ms*) ;; *) set -- "$@" -H 'x-deadline-ms: 60000' ;; esac
PATH=\${PATH#*:}
status=$(curl "$@" -o '${folder}/body' -w '%{http_code}')
{ cat '${folder}/body'; echo "<status $status>"; } >>'${folder}/answers'
cat '${folder}/body'
`
  await writeFile(join(folder, 'curl'), script, { mode: 0o755 })
  return folder
}

/** The answers to the requests of a shell, in their order. */
async function answersOf(args: string[]): Promise<Answer[]> {
  const answers = join(tools, 'answers')
  await writeFile(answers, '')
  const env = { ...process.env, PATH: `${tools}${delimiter}${process.env.PATH}` }
  const child = spawn('bash', args, { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] })
  await once(child, 'close')
  return [...(await readFile(answers, 'utf8')).matchAll(/([\s\S]*?)<status (\d+)>\n/g)].map(([, body, status]) => ({
    status: Number(status),
    body: body!,
  }))
}

interface Example {
  port: number
  /** Its error output so far. */
  errors(): string
  /** Rejects unless it ends well. */
  stop(): Promise<void>
}

/** Starts an example as its page says, on a free port. */
async function startExample(t: Test, { script, env }: Start, ready = 'listening at'): Promise<Example> {
  const settings = { PORT: '0', MODELS: models, RANKER_URL: origin, RANKER_MS: '60000', ...env }
  const child = spawn(process.execPath, [script!], { cwd: root, env: { ...process.env, ...settings } })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (part) => (output += part))
  child.stderr.setEncoding('utf8').on('data', (part) => (errors += part))
  const ended = once(child, 'close')
  t.teardown(() => {
    child.kill('SIGKILL')
    return ended
  })
  await until(() => child.exitCode !== null || output.includes(ready))
  if (child.exitCode !== null) throw new Error(`${script} ended: ${output}${errors}`)
  return {
    port: Number(/listening at http:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1]),
    errors: () => errors,
    stop: async () => {
      child.kill('SIGTERM')
      const [code] = await ended
      if (code !== 0) throw new Error(`${script} ended with ${code}: ${errors}`)
    },
  }
}

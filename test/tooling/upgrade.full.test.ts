import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../support/bundle.ts'
import { until } from '../support/until.ts'

/*
 * The last release, built from the repository's history, beside this one: the same models folder, plan cache, settings
 * and requests.
 */

const root = join(import.meta.dirname, '../../..')
const git = (...args: string[]) => spawnSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28 })
const released = /^## \[(\d+\.\d+\.\d+)\] - \d{4}/m.exec(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'))?.[1]
const commit = git('log', '--format=%H', `-S"version": "${released}"`, '--', 'package.json')
  .stdout.trim()
  .split('\n')
  .at(-1)
const skip = commit ? false : `the repository's history does not reach back to ${released}`

/** A checkout of the last release, compiled, with its own dependencies. */
async function buildRelease(t: Test): Promise<string> {
  const folder = await temporaryFolder(t)
  const archive = spawnSync('git', ['archive', commit!], { cwd: root, maxBuffer: 1 << 28 })
  execFileSync('tar', ['-x', '-C', folder], { input: archive.stdout })
  // Their lock file allows what is installed here where it is the same.
  const isSame = readFileSync(join(folder, 'package-lock.json')).equals(readFileSync(join(root, 'package-lock.json')))
  if (isSame) symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  else
    execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--prefer-offline'], { cwd: folder, stdio: 'ignore' })
  execFileSync('npm', ['run', 'build', '--', `linux-${process.arch}`], { cwd: folder, stdio: 'ignore' })
  return folder
}

/** Releases up to 0.2 have no bundle. */
const entry = (folder: string, name: string) =>
  ['dist', 'build/src'].map((path) => join(folder, path, name)).find((path) => existsSync(path))!

interface Server {
  child: ChildProcess
  url: string
  lines(): Record<string, unknown>[]
}

async function start(t: Test, folder: string, env: Record<string, string>): Promise<Server> {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MULTIGATE_')))
  const child = spawn(process.execPath, [entry(folder, 'main.js')], { cwd: folder, env: { ...clean, ...env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  const ended = once(child, 'close')
  t.teardown(() => {
    child.kill('SIGKILL')
    return ended
  })
  await until(() => {
    if (child.exitCode !== null) throw new Error(output)
    return output.includes('"msg":"ready"')
  })
  const url = /listening at (http:\/\/[^"]+)"/.exec(output)![1]!
  const lines = () =>
    output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line))
  return { child, url, lines }
}

async function stop({ child }: Server): Promise<void> {
  const ended = once(child, 'close')
  child.kill('SIGTERM')
  await ended
}

interface Request {
  path: string
  body?: object
}

/** The requests that clients of the last release send. */
async function requestsFor(url: string, models: string): Promise<Request[]> {
  const requests: Request[] = ['/livez', '/readyz', '/models', '/v2', '/v2/health/ready', '/models/nothing'].map(
    (path) => ({ path }),
  )
  for (const model of readdirSync(models, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    const { name } = model
    const [version] = readdirSync(join(models, name)).filter((entry) => /^\d+$/.test(entry))
    const { golden, features } = JSON.parse(readFileSync(join(models, name, version!, 'manifest.json'), 'utf8'))
    const { example } = (await (await fetch(`${url}/models/${name}`)).json()) as { example: object }
    // Named features, as the server encodes them.
    const [row] = golden.rows
    const inputs = (features as { name: string; kind: string }[])
      .filter(({ name }) => row[name] !== undefined && row[name] !== null)
      .map(({ name, kind }) => ({
        name,
        shape: [1],
        datatype: kind === 'numeric' ? 'FP64' : kind === 'integer' ? 'INT64' : 'BYTES',
        data: [row[name]],
      }))
    requests.push(
      { path: `/models/${name}` },
      { path: `/v2/models/${name}` },
      { path: `/v1/models/${name}` },
      { path: `/v1/models/${name}/metadata` },
      { path: '/predict', body: example },
      { path: '/predict', body: { model: name, candidates: golden.rows, options: { raw: true } } },
      { path: '/predict', body: { model: name, version, candidates: golden.rows } },
      { path: '/predict', body: { model: name, candidates: [{ nothing: 1 }] } },
      { path: '/predict', body: { model: name, candidates: 'none' } },
      { path: `/v1/models/${name}:predict`, body: { instances: golden.rows } },
      {
        path: `/v2/models/${name}/infer`,
        body: { inputs },
      },
    )
  }
  return requests
}

async function answersOf(url: string, requests: Request[]) {
  const answers = []
  for (const { path, body } of requests) {
    const answer = await fetch(`${url}${path}`, {
      ...(body && { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    answers.push({
      path,
      status: answer.status,
      body: answer.headers.get('content-type')?.includes('json') ? await answer.json() : await answer.text(),
    })
  }
  return answers
}

/** Text for people, times, sizes, and names of what the compiler does: these may change. */
const unstable = new Set([
  'title',
  'detail',
  'message',
  'error',
  'instance',
  'request_id',
  'id',
  'extensions',
  'plan',
  'plans',
  'variants',
  'speedup',
  'reason',
  'age_seconds',
  'loaded_at',
  'milliseconds',
  'cost',
  // Filled where it pays, which each server measures.
  'cache',
  'graph',
  'compiled',
])

/** Where a value lacks something of the former one, or has something else. */
function differences(former: unknown, current: unknown, path = ''): string[] {
  if (Array.isArray(former)) {
    if (!Array.isArray(current) || current.length !== former.length) return [`${path}: ${JSON.stringify(current)}`]
    return former.flatMap((value, i) => differences(value, current[i], `${path}/${i}`))
  }
  if (typeof former === 'object' && former !== null) {
    if (typeof current !== 'object' || current === null) return [`${path}: ${JSON.stringify(current)}`]
    return Object.entries(former).flatMap(([key, value]) =>
      unstable.has(key) ? [] : differences(value, (current as Record<string, unknown>)[key], `${path}/${key}`),
    )
  }
  const isSame =
    typeof former === 'number' && typeof current === 'number'
      ? Math.abs(former - current) <= 1e-5 * Math.max(1, Math.abs(former))
      : former === current
  return isSame ? [] : [`${path}: ${JSON.stringify(former)} became ${JSON.stringify(current)}`]
}

async function series(url: string): Promise<string[]> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const names = [...text.matchAll(/^(multigate_\w+)(?:\{([^}]*)\})? /gm)].map(
    ([, name, labels = '']) =>
      `${name}{${[...labels.matchAll(/(\w+)="/g)]
        .map(([, label]) => label)
        .sort()
        .join()}}`,
  )
  return [...new Set(names)].sort()
}

t.test(`from ${released} to this version and back`, { skip }, async (t) => {
  const former = await buildRelease(t)
  const work = await temporaryFolder(t)
  const models = join(work, 'models')
  mkdirSync(join(work, 'plans'))
  cpSync(join(former, 'models'), models, { recursive: true })
  execFileSync(process.execPath, [entry(former, 'cli.js'), 'pin', 'census-income', '1', '--models', models], {
    cwd: former,
  })

  // Every setting of that release, at its default.
  if (existsSync(join(former, 'scripts/build-modules.mjs')))
    execFileSync(process.execPath, ['scripts/build-modules.mjs'], { cwd: former })
  const { Configuration } = await import(pathToFileURL(join(former, 'build/src/schemas/configuration.js')).href)
  const defaults = Object.entries<{ default?: unknown }>(Configuration.properties).map(([key, { default: value }]) => [
    key,
    String(value ?? ''),
  ])
  const env = {
    ...Object.fromEntries(defaults),
    MULTIGATE_MODELS: models,
    MULTIGATE_CACHE: join(work, 'plans'),
    MULTIGATE_PORT: '0',
    MULTIGATE_DEADLINE_MS: '60000',
    MULTIGATE_WORKERS: '1',
    MULTIGATE_WARM_UP_MS: '0',
  }
  t.ok(defaults.length > 20)

  let server = await start(t, former, env)
  const requests = await requestsFor(server.url, models)
  const before = await answersOf(server.url, requests)
  const metricsBefore = await series(server.url)
  t.ok(before.filter(({ status }) => status === 200).length > requests.length / 2)
  for (const path of ['/predict', 'infer', ':predict'])
    t.ok(
      before.some((answer) => answer.path.endsWith(path) && answer.status === 200),
      path,
    )

  const compare = async (t: Test, current: Server) => {
    const after = await answersOf(current.url, requests)
    for (const [i, answer] of before.entries())
      t.same(
        differences(answer, after[i]),
        [],
        `${answer.path} ${JSON.stringify(requests[i]!.body ?? '').slice(0, 80)}`,
      )
  }

  await t.test('both run beside each other, on one folder and one plan cache', async (t) => {
    const current = await start(t, root, env)
    await compare(t, current)
    await compare(t, server)
    const metrics = await series(current.url)
    t.same(
      metricsBefore.filter((name) => !metrics.includes(name)),
      [],
      'metrics',
    )
    const complaints = current.lines().filter(({ level }) => Number(level) >= 40)
    t.same(complaints, [], 'no setting is unknown, no version fails')
    await stop(current)
  })
  await stop(server)

  await t.test('back', async (t) => {
    server = await start(t, former, env)
    await compare(t, server)
    t.same(
      server.lines().filter(({ level }) => Number(level) >= 40),
      [],
    )
    await stop(server)
  })

  await t.test('a version with properties that the former release does not know', async (t) => {
    server = await start(t, former, env)
    const folder = join(models, 'ads-funnel', '2')
    const writing = join(models, 'ads-funnel', '.2')
    cpSync(join(root, 'models/ads-funnel/1'), writing, { recursive: true })
    const manifest = JSON.parse(readFileSync(join(writing, 'manifest.json'), 'utf8'))
    writeFileSync(join(writing, 'manifest.json'), JSON.stringify({ ...manifest, version: '2' }))
    renameSync(writing, folder)
    const versionAt = async (url: string) => {
      const candidates = manifest.golden.rows.slice(0, 1)
      const [answer] = await answersOf(url, [{ path: '/predict', body: { model: 'ads-funnel', candidates } }])
      return (answer!.body as { version: string }).version
    }
    const refused = () =>
      server.lines().filter(({ level, version }) => Number(level) >= 40 && (version === '2' || version === 2))
    await until(() => refused().length > 0)
    t.match(JSON.stringify(refused()), /crossed/)
    t.equal(await versionAt(server.url), '1', 'the former release goes on with the version that it has')
    const current = await start(t, root, env)
    t.equal(await versionAt(current.url), '2')
    await stop(current)
    await stop(server)
  })

  await t.test('a model with lists, which the former release does not know', async (t) => {
    server = await start(t, former, env)
    const writing = join(models, '.ads-history')
    cpSync(join(root, 'models/ads-history'), writing, { recursive: true })
    renameSync(writing, join(models, 'ads-history'))
    const refused = () => server.lines().filter(({ level, model }) => Number(level) >= 40 && model === 'ads-history')
    await until(() => refused().length > 0)
    t.match(JSON.stringify(refused()), /list/, 'the error names the property')
    const { golden } = JSON.parse(readFileSync(join(models, 'ads-history/1/manifest.json'), 'utf8'))
    const histories = { path: '/predict', body: { model: 'ads-history', candidates: golden.rows.slice(0, 1) } }
    const others = requests.filter(({ path, body }) => path === '/predict' && body !== undefined)
    const statuses = async (url: string, asked: Request[]) => (await answersOf(url, asked)).map(({ status }) => status)
    t.not((await statuses(server.url, [histories]))[0], 200)
    const expected = before.filter((_, i) => others.includes(requests[i]!)).map(({ status }) => status)
    t.same(await statuses(server.url, others), expected, 'the other models answer as before')
    const current = await start(t, root, env)
    t.same(await statuses(current.url, [histories]), [200])
    await stop(current)
    await stop(server)
  })
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { optionalPackages } from '../../src/base/optional-packages.ts'
import { temporaryFolder } from '../support/bundle.ts'
import { writeDeclarations } from '../support/declarations.ts'

/*
 * The package as `npm run build && npm pack` makes it, in two empty projects. In the first one nothing of the checkout
 * is in its reach but the dependencies that package.json names, which are linked, so that no registry is asked; npm
 * installs it in the second one, as a user does.
 */

const root = join(import.meta.dirname, '../../..')
const { dependencies, devDependencies, optionalDependencies, peerDependencies } = JSON.parse(
  await readFile(join(root, 'package.json'), 'utf8'),
)

const project = await temporaryFolder(t)
const modules = join(project, 'node_modules')
await mkdir(modules)
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
await writeDeclarations()
const packed = await run(npm, ['pack', '--json', '--pack-destination', project], root)
const [{ filename, files }] = JSON.parse(packed.stdout) as [{ filename: string; files: { path: string }[] }]
await run('tar', ['-xzf', filename], project)
await rename(join(project, 'package'), join(modules, 'multigate'))
// As `npm run build` does, but for this machine alone, and not into the checkout, where other tests run.
const here = `${process.platform}-${process.arch}`
const bundled = join(modules, 'multigate/dist/onnxruntime-node')
const bundling = await run(
  process.execPath,
  [join(root, 'scripts/bundle-onnxruntime.mjs'), '--to', bundled, here],
  root,
)
if (bundling.status !== 0) throw new Error(bundling.stderr)
for (const name of [...Object.keys(dependencies), 'typescript', '@types/node']) {
  await mkdir(dirname(join(modules, name)), { recursive: true })
  await symlink(join(root, 'node_modules', name), join(modules, name))
}

const program = `
import Fastify from 'fastify'
import embedded, {
  createServer, loadModel, multigate, MultigateError, predict,
  type Candidate, type ColumnsAnswer, type Model, type PluginOptions, type RowsAnswer, type ServerOptions,
} from 'multigate'

const models = process.argv[2]!
const model: Model = await loadModel(models + '/ads-funnel/1', { workers: 1, cache: 'off' })
const context = { country: 'DE', hour: 21, segment: 's17' }
const candidates: Candidate[] = [
  { id: 'ad-1', campaign: 'c9', price: 1.25, bid: 0.8 },
  { id: 'ad-2', campaign: 'c4', price: 0.4, bid: 1.1 },
]
const ranked: RowsAnswer = await model.predict({ context, candidates, options: { rank: { by: 'ecpm', top_k: 1 } } })
const best = ranked.predictions[0]
const score: number | undefined = best?.score
const ctr: number | undefined = best?.ctr
const columns: ColumnsAnswer = await predict(model, { context, candidates: { campaign: ['c9'], price: [1.25] } })
const first: number | null | undefined = columns.predictions.ctr?.[0]
let problem: unknown
try {
  await model.predict({ context, candidates: [{ campaign: 7 }] }, { signal: AbortSignal.timeout(600_000) })
} catch (error) {
  if (!(error instanceof MultigateError)) throw error
  problem = [error.code, error.status, error.errors?.map(({ path }) => path)]
}
await model.close()

const host = Fastify().withTypeProvider()
const options: PluginOptions = { prefix: '/rank', models, workers: 1, cache: 'off', requiredModels: ['ads-funnel'] }
const loaded = new Promise<string[]>((resolve) => (options.onLoaded = resolve))
await host.register(multigate, options)
await host.ready()
const reasons = await loaded
const answer = await host.inject({ method: 'POST', url: '/rank/predict', payload: { context, candidates } })
await host.close()

const serverOptions: ServerOptions = { models, port: 0, MULTIGATE_WORKERS: '1', cache: 'off', drainDelayMs: 0, warmUpMs: 0, logLevel: 'silent' }
const server = await createServer(serverOptions)
await server.ready
const { status } = await fetch(server.url + '/readyz')
await server.close()

console.log(JSON.stringify({
  model: [model.name, model.version, model.tasks], id: best?.id, score, ctr, first, problem, reasons,
  answer: answer.statusCode, ready: status, same: embedded === multigate,
}))

export function wrong() {
  // @ts-expect-error a misspelt option
  loadModel('models/ads-funnel', { worker: 1 })
  // @ts-expect-error a port is the host's
  const plugin: PluginOptions = { prefix: '/rank', port: 80 }
  // @ts-expect-error several processes are the command's
  createServer({ processes: 2 })
  // @ts-expect-error a value is no boolean
  model.predict({ context: { country: true } })
  return plugin
}
`

const serving = `
import { createServer } from 'multigate'

const models = 'node_modules/multigate/models'
const server = await createServer({ models, port: 0, workers: 1, cache: 'off', drainDelayMs: 0, warmUpMs: 0, logLevel: 'silent' })
await server.ready
const body = {
  model: 'ads-funnel',
  context: { country: 'DE', hour: 21, segment: 's17' },
  candidates: [
    { id: 'ad-1', campaign: 'c9', price: 1.25, bid: 0.8 },
    { id: 'ad-2', campaign: 'c4', price: 0.4, bid: 1.1 },
  ],
  options: { rank: { by: 'ecpm' } },
}
const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
const { predictions } = await (await fetch(server.url + '/predict', post)).json()
const { models: [{ versions: [{ engine }] }] } = await (await fetch(server.url + '/models')).json()
const { status: docs } = await fetch(server.url + '/docs')
await server.close()
console.log(JSON.stringify({ first: predictions[0].id, engine, docs }))
`

const configurations = {
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
}

t.test('it has what it needs, and no tests', async (t) => {
  const paths = files.map(({ path }) => path)
  for (const path of [
    'dist/index.js',
    'dist/cli.js',
    'dist/licenses.txt',
    'dist/types/index.d.ts',
    'README.md',
    'LICENSE',
    'NOTICE',
    'SECURITY.md',
    'docs/clients.md',
  ])
    t.ok(paths.includes(path), path)
  t.ok(paths.some((path) => /^models\/ads-funnel\/1\/.*\.bin$/.test(path)))
  t.ok(paths.includes('src/tools/train/specs/ads-funnel.yaml'), 'specs that the command finds by name')
  const expected =
    /^((CHANGELOG|README|SECURITY)\.md|LICENSE|NOTICE|package\.json|(dist|deploy|docs|models|src\/tools\/train\/specs)\/.+)$/
  t.same(
    paths.filter((path) => !expected.test(path) || /(^|\/)(test|loadtest)\/|\.test\.|\.map$|node_modules/.test(path)),
    [],
    'no tests, source maps or load tests',
  )
  const notices = await readFile(join(bundled, 'ThirdPartyNotices.txt'), 'utf8')
  t.match(notices, /^THIRD PARTY SOFTWARE NOTICES/, 'ONNX Runtime comes with its notices')
  t.match(
    await readFile(join(modules, 'multigate/NOTICE'), 'utf8'),
    `ONNX Runtime ${devDependencies['onnxruntime-node']}`,
  )
})

t.test('npm would publish it', async (t) => {
  const { status, stderr } = await run(npm, ['publish', '--dry-run', '--offline'], join(modules, 'multigate'))
  t.equal(status, 0, stderr)
  t.notMatch(stderr, /auto-corrected/, 'npm corrects nothing in package.json')
})

t.test('a program in TypeScript is checked against its types, and runs', async (t) => {
  await writeFile(join(project, 'package.json'), JSON.stringify({ type: 'module', private: true }))
  await writeFile(join(project, 'program.ts'), program)
  for (const [name, resolution] of Object.entries(configurations)) {
    const compilerOptions = {
      ...resolution,
      target: 'es2023',
      strict: true,
      noUncheckedIndexedAccess: true,
      types: ['node'],
    }
    const file = `tsconfig.${name}.json`
    await writeFile(join(project, file), JSON.stringify({ compilerOptions, files: ['program.ts'] }))
    const tsc = await run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', file], project)
    t.equal(tsc.stdout + tsc.stderr, '', name)
  }
  const models = join(modules, 'multigate/models')
  const { status, stdout, stderr } = await run(process.execPath, ['program.js', models], project)
  t.equal(status, 0, stderr)
  // The plugin's host logs nothing, the silent server neither.
  t.match(JSON.parse(stdout), {
    model: ['ads-funnel', '1', ['ctr', 'cvr', 'ctcvr']],
    id: 'ad-2',
    score: Number,
    ctr: Number,
    first: Number,
    problem: ['INVALID_REQUEST', 400, ['/candidates/0/campaign', '/candidates/0/price']],
    reasons: [],
    answer: 200,
    ready: 200,
    same: true,
  })
})

t.test('its command works', async (t) => {
  const { bin } = JSON.parse(await readFile(join(modules, 'multigate/package.json'), 'utf8'))
  await mkdir(join(modules, '.bin'))
  await symlink(join('..', 'multigate', bin.multigate), join(modules, '.bin/multigate'))
  const help = await run(process.execPath, [join(modules, '.bin/multigate'), 'serve', '--help'], project)
  t.equal(help.status, 0, help.stderr)
  t.match(help.stdout, /--max-queue-rows <value>/)
  const wrong = await run(process.execPath, [join(modules, '.bin/multigate'), 'train', 'nothing'], project)
  t.match(wrong, { status: 1, stderr: /ads-funnel/ }, 'it finds the specs')
})

t.test('what needs an optional package says how to install it', async (t) => {
  const command = (...args: string[]) =>
    run(process.execPath, [join(modules, 'multigate/dist/cli.js'), ...args], project)
  const tensorflow =
    /the optional package @tensorflow\/tfjs-core is not installed: npm install @tensorflow\/tfjs-core@4 @tensorflow\/tfjs-layers@4 /
  const served = await command('serve', '--models', join(modules, 'multigate/models'), '--engine', 'tensorflow')
  t.match(served, { status: 1, stderr: tensorflow })
  await writeFile(join(project, 'weights.h5'), Buffer.from([0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]))
  const imported = await command('import', 'weights.h5', '--name', 'weights')
  t.match(imported, { status: 1, stderr: /h5wasm is not installed: npm install h5wasm@0\.10/ })
})

t.test('all optional packages are known, and installed in the versions that package.json names', async (t) => {
  const optional = { ...peerDependencies, ...optionalDependencies }
  t.same(Object.keys(optionalPackages).sort(), Object.keys(optional).sort())
  for (const wanted of Object.values(optionalPackages).flat()) {
    const [, name, version] = /^(.+)@([\d.]+)$/.exec(wanted)!
    t.match(optional[name!], new RegExp(`^[~^]${version!.replaceAll('.', '\\.')}\\.`), wanted)
  }
})

t.test('npm installs it with install scripts on, and it serves', async (t) => {
  const user = await temporaryFolder(t)
  const tarball = await run(npm, ['pack', '--json', '--pack-destination', user], join(modules, 'multigate'))
  const [{ filename }] = JSON.parse(tarball.stdout) as [{ filename: string }]
  const installed = await run(npm, ['install', '--prefer-offline', '--no-audit', '--no-fund', `./${filename}`], user)
  if (/\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENOTCACHED)\b/.test(installed.stderr)) {
    t.plan(0, 'no registry is in reach')
    return
  }
  t.equal(installed.status, 0, installed.stderr)
  t.notOk((await readdir(join(user, 'node_modules'))).includes('@tensorflow'), 'without what is optional')
  await writeFile(join(user, 'serve.mjs'), serving)
  const { status, stdout, stderr } = await run(process.execPath, ['serve.mjs'], user)
  t.equal(status, 0, stderr)
  t.same(JSON.parse(stdout), { first: 'ad-2', engine: 'onnx', docs: 200 })
})

t.test('nothing inside can be imported but the entry', async (t) => {
  const script = "import('multigate/dist/main.js').then(() => console.log('found'), ({ code }) => console.log(code))"
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], project)
  t.equal(stdout.trim(), 'ERR_PACKAGE_PATH_NOT_EXPORTED')
})

async function run(command: string, args: string[], cwd: string) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('MULTIGATE_')))
  // The checkout's own setting, which npm passes on, isn't a user's.
  env.npm_config_ignore_scripts = 'false'
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [status] = await ended
  return { status: status as number | null, stdout, stderr }
}

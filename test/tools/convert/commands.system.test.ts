import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { writeTestBundle } from '../../support/bundle.ts'
import { runCli, spawnCli } from '../../support/cli.ts'
import { counted, functional, input, layer, saveKeras } from '../../support/keras/saved-model.ts'

const variables = { MULTIGATE_CACHE: 'off' }
const run = (...args: string[]) => runCli(args, variables)
/** As a process of its own: one of each command. */
const spawn = (...args: string[]) => spawnCli(args, variables)

t.test('help has examples; wrong usage is told', async (t) => {
  t.match(await run('import', '--help'), {
    code: 0,
    stdout: /multigate import mmoe\.weights\.h5 --name ads --architecture mmoe,gate_function=sigmoid/,
  })
  t.match(await run('export', '--help'), { code: 0, stdout: /multigate export census-income --to keras-weights/ })
  t.match(await run('import', '--help'), { stdout: /--name <model> [^-]*\(required\)/ })
  t.match(await run('verify'), { code: 2, stderr: /missing argument 'target', or --url/ })
  t.match(await run('verify', 'x', '--url', 'http://x'), { code: 2, stderr: /--url checks every model; leave out x/ })
  t.match(await run('verify', '--url', 'x:1'), { code: 2, stderr: /--url x:1 is no http:\/\/ or https:\/\/ address/ })
  const help = await run('export', '--help')
  t.match(help.stdout, /--to <format> .*\(required\)\s+--out/s)
  t.match(help.stdout, /--out <path> [^-]*\(required\)/)
  t.equal(help.stdout.match(/\(required\)/g)!.length, 2)
  t.match(await run('import', 'x.keras'), { code: 2, stderr: /required option '--name <model>' not specified/ })
  t.match(await run('import', 'x', '--name', '../x'), { code: 2, stderr: /"\.\.\/x" can't be the name of a model/ })
  t.match(await run('import', 'x', '--name', 'x', '--tasks', 'ctr,id'), {
    code: 2,
    stderr: /"id" can't be the name of a task/,
  })
  t.match(await run('import', 'x', '--name', 'x', '--sizes', '3,0'), {
    code: 2,
    stderr: /must be positive whole numbers/,
  })
  t.match(await run('import', 'x', '--name', 'x', '--context', 'a,,b'), { code: 2, stderr: /names with commas/ })
  t.match(await run('import', 'x', '--name', 'x', '--model-version', 'v1'), { code: 2, stderr: /can't be the version/ })
  t.match(await run('export', 'x', '--to', 'pmml', '--out', 'y'), { code: 2, stderr: /onnx, tfjs, keras-weights/ })
  t.match(await run('export', 'x', '--to', 'onnx'), { code: 2, stderr: /required option '--out <path>' not specified/ })
})

t.test('init checks names before it writes anything', async (t) => {
  const folder = t.testdir({ 'shop.onnx': 'any' })
  const models = join(folder, 'models')
  const init = (...args: string[]) => run('init', join(folder, 'shop.onnx'), '--models', models, ...args)
  for (const name of ['sh op', '../esc', ''])
    t.match(await init('--name', name), { code: 2, stderr: /can't be the name of a model/ })
  t.match(await init('--model-version', '0'), { code: 2, stderr: /can't be the version/ })
  t.match(await init('--tasks', 'ctr,id'), { code: 2, stderr: /can't be the name of a task/ })
  t.same(await readdir(folder), ['shop.onnx'])
})

async function rewrite(
  folder: string,
  change: (manifest: { golden: { probabilities: number[][] } }) => void,
): Promise<void> {
  const file = join(folder, 'manifest.json')
  const manifest = JSON.parse(await readFile(file, 'utf8'))
  change(manifest)
  await writeFile(file, JSON.stringify(manifest))
}

t.test('weights of a class end with a warning, and can be verified', async (t) => {
  const folder = t.testdir()
  const models = join(folder, 'models')
  await writeTestBundle(models, {})
  const path = join(folder, 'ads.weights.h5')
  t.match(await run('export', 'ads', '--models', models, '--to', 'keras-weights', '--out', path), { code: 0 })
  const imported = await run('import', path, '--name', 'again', '--models', models, '--architecture', 'mmoe')
  t.match(imported, { code: 0, stderr: /\nWARNING: nothing has compared again\/1.*gate_function=softmax, not/s })
  t.match(imported.stderr, /multigate verify again --models .*models --golden answers\.json/)
  const { golden } = JSON.parse(await readFile(join(models, 'again/1/manifest.json'), 'utf8'))
  const answers = join(folder, 'answers.json')
  const verify = ['verify', 'again', '--models', models, '--golden', answers]
  await writeFile(answers, JSON.stringify(golden))
  t.match(await run(...verify), {
    code: 0,
    stdout: /again\/1 gives the same answers to all 32 rows, within 0\.00001\n$/,
  })
  const next = join(models, 'ads/2')
  await cp(join(models, 'ads/1'), next, { recursive: true })
  const {
    drift: _,
    quality: __,
    golden: own,
    ...former
  } = JSON.parse(await readFile(join(next, 'manifest.json'), 'utf8'))
  await writeFile(join(next, 'manifest.json'), JSON.stringify({ ...former, version: '2', derived: [] }))
  await writeFile(answers, JSON.stringify({ rows: own.rows, probabilities: own.probabilities }))
  t.match(await run('verify', 'ads', '--models', models), {
    code: 1,
    stderr: /ads\/2\/manifest\.json has no golden rows: name a file of them \(--golden\)/,
  })
  await rewrite(join(models, 'again/1'), ({ golden }) => {
    golden.probabilities[3]![0]! += 0.1
  })
  t.match(await run('verify', 'again', '--models', models), {
    code: 1,
    stderr: /^again\/1 does not give the answers of its golden rows: \/probabilities\/3\/0 is/,
  })
  await rewrite(join(models, 'again/1'), ({ golden }) => {
    golden.probabilities[3]![0]! -= 0.1
  })
  t.match(await run('verify', 'again', '--models', models), {
    code: 0,
    stdout: /again\/1 gives the same answers to all 32 rows/,
  })
  t.match(await spawn('verify', 'ads', '--models', models, '--golden', answers), {
    code: 0,
    stdout: /\nads\/2 is incompatible with ads\/1: the task ctcvr is no longer answered\nads\/2 gives the same answers/,
  })
  const misspelt = golden.rows.map((row: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(row).map(([name, value], i) => [i === 0 ? 'land' : name, value])),
  )
  await writeFile(answers, JSON.stringify({ ...golden, rows: misspelt }))
  const refused = await run(...verify)
  t.match(refused, {
    code: 1,
    stderr: /answers\.json: \/rows\/0\/land is no field \(and \d+ more places\); the fields are /,
  })
  t.notMatch(refused.stderr, /\bbid\b/)
  golden.probabilities[3][0] += 0.1
  await writeFile(answers, JSON.stringify(golden))
  t.match(await run(...verify), {
    code: 1,
    stderr: /^again\/1 does not give the answers of .*\/probabilities\/3\/0 is/,
  })
})

t.test('a model comes and goes', async (t) => {
  const folder = t.testdir()
  const layers = [
    input('ids', 2),
    input('price', 1),
    layer('Embedding', 'table', { input_dim: 6, output_dim: 2 }, ['ids']),
    layer('Flatten', 'flat', {}, ['table']),
    layer('Concatenate', 'all', {}, ['flat', 'price']),
    layer('Dense', 'out', { units: 2, activation: 'sigmoid' }, ['all']),
  ]
  const tensors = {
    'layers/embedding/vars/0': counted(6, 2),
    'layers/dense/vars/0': counted(5, 2),
    'layers/dense/vars/1': counted(2),
  }
  const path = await saveKeras(folder, functional(layers, ['out']), tensors)
  const models = join(folder, 'models')
  const told = await spawn(
    'import',
    path,
    '--name',
    'ads',
    '--models',
    models,
    '--tasks',
    'ctr, cvr',
    '--context',
    'ids_0',
  )
  t.match(told, {
    code: 0,
    stderr: '',
    stdout: new RegExp(
      [
        '^test, a Keras model of 6 layers',
        '2 sparse and 1 numeric fields; tasks ctr, cvr',
        '32 random rows: the graph on onnx, compiled agrees with a float64 computation within 0.00001; .*',
        'note: 2 fields, ids_0 to ids_1, share a table of 6 rows: .*',
        'written to .*models/ads/1\\n$',
      ].join('\\n'),
    ),
  })
  t.match(await run('import', path, '--name', 'ads', '--models', models), {
    code: 1,
    stderr: /exists already; --force replaces it/,
  })
  t.match(await run('import', join(folder, 'none.keras'), '--name', 'x', '--models', models), {
    code: 1,
    stderr: /none\.keras is missing\n$/,
  })

  const out = join(folder, 'ads.onnx')
  t.match(await spawn('export', 'ads', '--models', models, '--to', 'onnx', '--out', out), {
    code: 0,
    stdout:
      /^ads\/1: 2 sparse fields, 1 numeric fields; tasks ctr, cvr\n32 golden rows answered\nwritten to .*ads\.onnx\n$/,
  })
  const weights = ['export', 'ads', '--models', models, '--to', 'keras-weights', '--out', join(folder, 'w.h5')]
  t.match(await run(...weights), { code: 1, stderr: /ads\/1 is none of the reference's classes/ })
  t.same((await readdir(folder)).sort(), ['ads.onnx', 'model.keras', 'models'])
})

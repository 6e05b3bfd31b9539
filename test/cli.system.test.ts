import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { runCli, spawnCli } from './support/cli.ts'
import { cli } from './support/entries.ts'
import { tinyCsv, tinySpec } from './support/tiny.ts'

const run = (...args: string[]) => runCli(args)

t.test('help has examples; wrong usage is told', async (t) => {
  const help = await run('train', '--help')
  t.match(help, { code: 0, stdout: /multigate train census-income/ })
  t.match(await run('evaluate', '--help'), { code: 0, stdout: /--url http:\/\/127\.0\.0\.1:3000/ })
  t.match(await spawnCli(['bench', '--help']), {
    code: 0,
    stdout: /multigate bench model\.onnx --context sparse=0-12,dense=0-5/,
  })
  t.match(await spawnCli(['compile', '--help']), { code: 0, stdout: /multigate compile ads-funnel --report/ })
  t.match(await spawnCli(['--version']), { code: 0, stdout: /^\d+\.\d+\.\d+/ })
  t.match(await run('train'), { code: 2, stderr: /missing required argument 'spec'/ })
  t.match(await run('evaluate', 'x', '--url', 'localhost'), { code: 2, stderr: /must be an http/ })
  t.match(await run('train', 'x', '--threads', 'many'), { code: 2, stderr: /must be a whole number from 1 to 256/ })
  t.match(await run('bench', 'x', '--rows', '1,none'), { code: 2, stderr: /must be a whole number from 1/ })
  t.match(await run('bench', 'x', '--seconds', '-1'), { code: 2, stderr: /must be a number above 0/ })
  t.match(await run('bench', 'x.onnx', '--context', 'sparse'), {
    code: 1,
    stderr: /^sparse: columns have the form /,
  })
  t.match(await run('evaluate', 'x', '--int8', '--url', 'http://h'), { code: 2, stderr: /cannot be used with option/ })
})

t.test('trains, evaluates the version on disk, refuses to overwrite it', async (t) => {
  const folder = t.testdir({ 'tiny.csv': tinyCsv(), 'spec.yaml': JSON.stringify(tinySpec()) })
  const models = join(folder, 'models')
  const trained = await spawnCli(['train', join(folder, 'spec.yaml'), '--models', models])
  t.match(trained, {
    code: 0,
    stdout: /^ctr: 120 rows, [\s\S]* AUC [\s\S]*\ncvr: \d+ rows[\s\S]*\nctcvr: 120 rows/,
    stderr: /epoch 2\/2: .*\n.*\nwritten to .*tiny\/1/,
  })
  const evaluated = await run('evaluate', join(folder, 'spec.yaml'), '--models', models)
  t.match(evaluated, { code: 0, stderr: /^tiny\/1 by onnx.*, 120 test rows of spec\.yaml$/m })
  const [table, kept] = trained.stdout.split(/(?=kept epoch)/)
  t.match(kept, /^kept epoch \d of \d, the best on the validation rows: mean normalised entropy \d\.\d+\n$/)
  t.equal(evaluated.stdout.trim(), table!.trim(), 'what was reported when it was trained')
  t.match(await run('train', join(folder, 'spec.yaml'), '--models', models), {
    code: 1,
    stderr: /exists already; --force replaces it/,
  })
})

t.test('errors of the user are told in words', async (t) => {
  const unknown = await run('train', 'nothing')
  t.match(unknown, { code: 1, stderr: /no such spec: .*ads-funnel/ })
  t.notMatch(unknown.stderr, /\n {4}at /)
  const folder = t.testdir({ 'tiny.csv': tinyCsv(), 'spec.yaml': JSON.stringify(tinySpec()) })
  t.match(await run('evaluate', join(folder, 'spec.yaml'), '--models', folder), {
    code: 1,
    stderr: /^tiny\/1 is neither the folder of a model or version nor a model in /,
  })
  const remote = await run('evaluate', join(folder, 'spec.yaml'), '--url', 'http://127.0.0.1:1', '--model-version', '2')
  t.match(remote, { code: 1, stderr: /can't be reached/ })
})

t.test('an interrupt stops it and writes nothing', async (t) => {
  const folder = t.testdir({})
  await writeFile(join(folder, 'tiny.csv'), tinyCsv())
  const spec = tinySpec()
  await writeFile(
    join(folder, 'spec.yaml'),
    JSON.stringify({ ...spec, training: { ...spec.training, epochs: 10_000, patience: 10_000 } }),
  )
  const child = spawn(process.execPath, [cli, 'train', join(folder, 'spec.yaml'), '--models', join(folder, 'models')])
  let said = ''
  child.stderr.on('data', (chunk) => {
    if (/epoch 1\//.test(said + chunk) && !/epoch 1\//.test(said)) child.kill('SIGINT')
    said += chunk
  })
  const [code] = await once(child, 'close')
  t.equal(code, 130)
  t.match(said, /Stopped; nothing was written\.\n$/)
  t.notOk((await readdir(folder)).includes('models'))
})

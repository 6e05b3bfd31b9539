import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import t, { type Test } from 'tap'
import { temporaryFolder } from '../support/bundle.ts'
import { startProcess } from '../support/process.ts'

/*
 * The PyTorch example of docs/import-export.md, step by step as it stands there. PyTorch is large: where it is not installed
 * (Debian: python3-torch), its export is the one in test/fixtures/pytorch, which that very script wrote.
 */

/** Tests run from build/test/convert/. */
const root = join(import.meta.dirname, '../../..')
const fixtures = join(root, 'test/fixtures/pytorch')
const page = await readFile(join(root, 'docs/import-export.md'), 'utf8')
const blocks = Object.fromEntries(
  [...page.matchAll(/<!-- run: pytorch-(\S+) -->\n```\w+\n([\s\S]*?)\n```/g)].map(([, name, code]) => [name!, code!]),
)
const exported = JSON.parse(await readFile(join(fixtures, 'shop.json'), 'utf8'))

const python = ['python3', '/usr/bin/python3'].find(
  (command) => spawnSync(command, ['-c', 'import torch, numpy']).status === 0,
)

t.test('the export that is kept is that of the page', async (t) => {
  const sha256 = createHash('sha256').update(blocks.export!).digest('hex')
  t.equal(exported.script, sha256, 'else run test/fixtures/pytorch/keep-shop.py')
  const { predictions } = JSON.parse(blocks.answer!)
  expectAnswers(t, predictions, exported.probabilities)
})

t.test('the kept export is served by named values', async (t) => {
  const folder = await temporaryFolder(t)
  await copyFile(join(fixtures, 'shop.onnx'), join(folder, 'shop.onnx'))
  expectAnswers(t, await serve(t, folder), exported.probabilities)
})

t.test('what PyTorch exports here is', { skip: python === undefined && 'PyTorch is not installed' }, async (t) => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'export.py'), blocks.export!)
  const { status, stdout, stderr } = spawnSync(python!, ['export.py'], { cwd: folder, encoding: 'utf8' })
  t.equal(status, 0, stderr)
  expectAnswers(t, await serve(t, folder), JSON.parse(stdout.trim().split('\n').at(-1)!))
})

/** From an exported file to the answer of the page's request. */
async function serve(t: Test, folder: string): Promise<any[]> {
  await writeFile(join(folder, 'features.json'), blocks.features!)
  const bin = join(folder, 'bin')
  await mkdir(bin)
  const command = `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'build/src/cli.js')}" "$@"\n`
  await writeFile(join(bin, 'multigate'), command)
  await chmod(join(bin, 'multigate'), 0o755)
  const env = { ...process.env, PATH: [bin, process.env.PATH].join(delimiter) }
  const shell = (script: string) => spawnSync('bash', ['-c', script], { cwd: folder, env, encoding: 'utf8' })
  const made = shell(blocks.init!)
  t.equal(made.status, 0, made.stderr)
  const { port } = await startProcess(t, { MULTIGATE_MODELS: join(folder, 'models'), MULTIGATE_CACHE: 'off' })
  const { stdout } = shell(blocks.ask!.replace('127.0.0.1:3000', `127.0.0.1:${port}`))
  const answer = JSON.parse(stdout)
  t.equal(answer.model, 'shop', stdout)
  return answer.predictions
}

function expectAnswers(t: Test, predictions: any[], expected: number[][]): void {
  t.same(
    predictions.map(({ id }) => id),
    ['a', 'b'],
  )
  for (const [row, [ctr, cvr]] of expected.entries()) {
    t.ok(Math.abs(predictions[row].ctr - ctr!) < 1e-5, `row ${row}: ctr`)
    t.ok(Math.abs(predictions[row].cvr - cvr!) < 1e-5, `row ${row}: cvr`)
  }
}

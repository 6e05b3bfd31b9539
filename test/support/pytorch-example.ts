import { spawnSync } from 'node:child_process'
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'
import { parse } from 'yaml'
import type { ImportManifest } from '../../src/schemas/import.ts'
import { cli } from './entries.ts'
import { startProcess } from './process.ts'

/* The example of docs/from-pytorch.md, and what its script leaves, kept in test/fixtures/pytorch. */

/** Compiled, it is in build/test/support/. */
const root = join(import.meta.dirname, '../../..')
const fixtures = join(root, 'test/fixtures/pytorch')
const page = await readFile(join(root, 'docs/from-pytorch.md'), 'utf8')

/** The code blocks of the example, by name. */
export const blocks = Object.fromEntries(
  [...page.matchAll(/<!-- run: pytorch-(\S+) -->\n```\w+\n([\s\S]*?)\n```/g)].map(([, name, code]) => [name!, code!]),
)

/** The output that the page shows of a command. */
function outputOf(name: string): string {
  const [, output] = new RegExp(
    `<!-- run: pytorch-${name} -->\n\`\`\`sh\n[\\s\\S]*?\n\`\`\`\n\n\`\`\`text\n([\\s\\S]*?)\n\`\`\``,
  ).exec(page)!
  return output!
}

/** The fields and tasks of the page. */
export const stated: ImportManifest = { derived: [], ...parse(blocks.features!) }

/** The facts kept of the export: PyTorch's version, and SHA-256 of the script. */
export const exported: { torch: string; script: string } = JSON.parse(
  await readFile(join(fixtures, 'shop.json'), 'utf8'),
)

/** Copies what the script leaves into a folder: `shop.onnx`, its weights beside it, the log, and answers of PyTorch. */
export async function copyShop(folder: string): Promise<void> {
  for (const file of ['shop.onnx', 'shop.onnx.data', 'log.parquet', 'answers.json'])
    await copyFile(join(fixtures, file), join(folder, file))
}

/** A shell in a folder in which `multigate` is this command line. */
async function shellIn(folder: string): Promise<(script: string) => { status: number | null; stdout: string }> {
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'multigate'), `#!/bin/sh\nexec "${process.execPath}" "${cli}" "$@"\n`)
  await chmod(join(bin, 'multigate'), 0o755)
  const env = { ...process.env, PATH: [bin, process.env.PATH].join(delimiter) }
  return (script) => spawnSync('bash', ['-c', `${script} 2>&1`], { cwd: folder, env, encoding: 'utf8' })
}

type Shell = Awaited<ReturnType<typeof shellIn>>

/** Serves the models that the page has made, and compares the answer of a request with that of the page. */
async function askAsOnPage(t: Test, folder: string, shell: Shell, ask: string, answer: string): Promise<void> {
  const { port } = await startProcess(t, { MULTIGATE_MODELS: join(folder, 'models'), MULTIGATE_CACHE: 'off' })
  const { version, predictions } = JSON.parse(shell(ask.replace('127.0.0.1:3000', `127.0.0.1:${port}`)).stdout)
  const shown = JSON.parse(answer)
  t.same([version, predictions.length], [shown.version, shown.predictions.length])
  for (const [i, expected] of shown.predictions.entries())
    for (const [name, value] of Object.entries<any>(expected)) {
      const given = predictions[i][name]
      if (typeof value === 'number') t.ok(Math.abs(given - value) < 0.01, `${i} ${name}`)
      else t.same(given, value, `${i} ${name}`)
    }
}

/** The section on a model with a history, each command as it stands there. */
export async function walkHistory(t: Test, folder: string): Promise<void> {
  await copyFile(join(fixtures, 'din-dynamo.onnx'), join(folder, 'history.onnx'))
  await writeFile(join(folder, 'features.yaml'), blocks['history-features']!)
  const shell = await shellIn(folder)
  const { status, stdout } = shell(blocks['history-init']!)
  t.equal(status, 0, stdout)
  expectOutput(t, 'history-init', stdout)
  await askAsOnPage(t, folder, shell, blocks['history-ask']!, blocks['history-answer']!)
}

/** From what the script has left in `folder` to the page's end, each command as it stands there. */
export async function walkThrough(t: Test, folder: string): Promise<void> {
  await writeFile(join(folder, 'features.yaml'), blocks.features!)
  await writeFile(join(folder, 'rows.yaml'), blocks.rows!)
  await writeFile(join(folder, 'today.yaml'), blocks.refresh!)
  const shell = await shellIn(folder)
  const walk = (step: string) => {
    const { status, stdout } = shell(blocks[step]!)
    t.equal(status, 0, stdout)
    expectOutput(t, step, stdout)
  }
  for (const step of ['init', 'calibrate', 'quantize']) walk(step)
  await askAsOnPage(t, folder, shell, blocks.ask!, blocks.answer!)
  walk('train')
}

/** Figures, the precision, and the folder that a test runs in, differ; the sentences around them do not. */
const plain = (line: string) =>
  line
    .replace(/\/\S*(?=models\/)/, '')
    .replaceAll(/[\d.,]*\d/g, '#')
    .replaceAll(/[−-](?=#)/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim()

/** Expects the lines of the page in their order; `…` stands for any others. */
function expectOutput(t: Test, step: string, stdout: string): void {
  const lines = stdout.split('\n').map(plain)
  let from = 0
  for (const line of outputOf(step).split('\n')) {
    if (line === '…' || line === '') continue
    const found = lines.indexOf(plain(line), from)
    t.ok(found >= 0, `${step}: ${line}`)
    from = Math.max(from, found + 1)
  }
}

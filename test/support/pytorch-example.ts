import { spawnSync } from 'node:child_process'
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'
import { cli } from './entries.ts'
import { startProcess } from './process.ts'

/*
 * The PyTorch example of docs/import-export.md, and its export by PyTorch's default exporter in
 * test/fixtures/pytorch.
 */

/** Compiled, it is in build/test/support/. */
const root = join(import.meta.dirname, '../../..')
const fixtures = join(root, 'test/fixtures/pytorch')
const page = await readFile(join(root, 'docs/import-export.md'), 'utf8')

/** The code blocks of the example, by name. */
export const blocks = Object.fromEntries(
  [...page.matchAll(/<!-- run: pytorch-(\S+) -->\n```\w+\n([\s\S]*?)\n```/g)].map(([, name, code]) => [name!, code!]),
)

/** The facts kept of the export: PyTorch's version, its answers, and SHA-256 of the script. */
export const exported: { torch: string; script: string; probabilities: number[][] } = JSON.parse(
  await readFile(join(fixtures, 'shop.json'), 'utf8'),
)

/** Copies the export into a folder: `shop.onnx`, and its weights beside it. */
export async function copyShop(folder: string): Promise<void> {
  for (const file of ['shop.onnx', 'shop.onnx.data']) await copyFile(join(fixtures, file), join(folder, file))
}

/** From the exported files in `folder` to the answer of the example's request. */
export async function serveShop(t: Test, folder: string): Promise<any[]> {
  await writeFile(join(folder, 'features.json'), blocks.features!)
  const bin = join(folder, 'bin')
  await mkdir(bin)
  const command = `#!/bin/sh\nexec "${process.execPath}" "${cli}" "$@"\n`
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

export function expectAnswers(t: Test, predictions: any[], expected: number[][]): void {
  t.same(
    predictions.map(({ id }) => id),
    ['a', 'b'],
  )
  for (const [row, [ctr, cvr]] of expected.entries()) {
    t.ok(Math.abs(predictions[row].ctr - ctr!) < 1e-5, `row ${row}: ctr`)
    t.ok(Math.abs(predictions[row].cvr - cvr!) < 1e-5, `row ${row}: cvr`)
  }
}

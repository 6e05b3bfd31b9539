// Trainings that are interrupted, and go on.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { runCli } from './cli.ts'
import { cli } from './entries.ts'
import { filmCsv, filmSpec } from './film-rows.ts'
import { listCsv, listSpec } from './list-rows.ts'
import { tinyCsv, tinySpec } from './tiny.ts'

const preload = new URL('./signal-at-line.js', import.meta.url).href
/** Rows of each run. */
export const rows = 600
export const training = { ...tinySpec().training, epochs: 4, patience: 4, batch_size: 48, unknown: 0.05 }

/** A folder with rows and a spec that is trained, and the command. */
export async function shop(t: Test, changes: object = {}, name = 'shop') {
  const folder = join(t.testdirName, name)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'tiny.csv'), tinyCsv(rows))
  if ('history' in changes) await writeFile(join(folder, 'log.csv'), filmCsv(0))
  else if ('sequences' in changes) await writeFile(join(folder, 'views.csv'), listCsv(rows))
  await writeFile(join(folder, 'spec.yaml'), JSON.stringify({ ...tinySpec(), training, ...changes }))
  const args = ['train', join(folder, 'spec.yaml'), '--models', join(folder, 'models'), '--run', join(folder, 'run')]
  const change = (more: object) =>
    writeFile(join(folder, 'spec.yaml'), JSON.stringify({ ...tinySpec(), training, ...changes, ...more }))
  return { folder, run: join(folder, 'run'), args, change }
}

/** Runs until a line begins so, which sends the signal, and waits for the end. */
export async function stopAt(args: string[], line: string, signal: NodeJS.Signals) {
  const child = spawn(process.execPath, ['--import', preload, cli, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, LINE: line, SIGNAL: signal },
  })
  const ended = once(child, 'exit')
  const lines: string[] = []
  for await (const line of createInterface(child.stderr)) lines.push(line)
  const [code, killed] = (await ended) as [number | null, NodeJS.Signals | null]
  return { code: code ?? killed, lines }
}

const weights = (folder: string) => readFile(join(folder, 'models/tiny/1/group1-shard1of1.bin'))

export const lists = {
  ...listSpec(),
  name: 'tiny',
  data: { csv: ['views.csv'], separator: ';' },
  derived: [],
  training,
}
export const histories = { ...filmSpec, name: 'tiny', derived: [], training }

/** A killed run goes on, and ends with the weights of one that was not. */
export async function checkResumed(t: Test, threads: number, changes: object = {}): Promise<void> {
  const more = ['--threads', `${threads}`]
  t.testdir({})
  const whole = await shop(t, changes, 'whole')
  t.match(await runCli([...whole.args, ...more]), { code: 0 })
  t.notOk((await readdir(whole.folder)).includes('run'), 'a complete run leaves nothing')

  const killed = await shop(t, changes, 'killed')
  const { code } = await stopAt([...killed.args, ...more], 'epoch 2/4', 'SIGKILL')
  t.equal(code, 'SIGKILL')
  t.ok((await readdir(killed.run)).includes('run.json'))
  const history = (await readFile(join(killed.run, 'history.jsonl'), 'utf8')).trim().split('\n')
  t.ok(history.length >= 2 && history.every((line) => JSON.parse(line).epoch > 0))
  const resumed = await runCli([...killed.args, ...more, '--resume'])
  t.match(resumed, { code: 0, stderr: /going on after epoch [23], from .*run\n/ })
  t.ok((await weights(killed.folder)).equals(await weights(whole.folder)))
  t.same(await readdir(join(killed.folder, 'models/tiny')), ['1'])
  const historyOf = async (folder: string) =>
    JSON.parse(await readFile(join(folder, 'models/tiny/1/manifest.json'), 'utf8')).provenance.history
  t.same(await historyOf(killed.folder), await historyOf(whole.folder))
}

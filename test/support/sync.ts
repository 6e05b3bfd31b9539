import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { temporaryFolder, writeTestBundle } from './bundle.ts'
import { runCli } from './cli.ts'
import { cli } from './entries.ts'
import { writeTable } from './tables.ts'

export interface Sync {
  child: ChildProcess
  output(): string
  ended: Promise<number | string>
}

/** Starts `multigate sync`. */
export function sync(t: Test, args: string[], env: Record<string, string> = {}): Sync {
  return startCommand(t, ['sync', ...args], env)
}

/** Starts a command that runs beside a server. */
export function startCommand(t: Test, args: string[], env: Record<string, string> = {}): Sync {
  const child = spawn(process.execPath, [cli, ...args], {
    env: { ...process.env, AWS_EC2_METADATA_DISABLED: 'true', ...env },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal)
  t.teardown(() => {
    child.kill('SIGKILL')
    return ended
  })
  return { child, output: () => output, ended }
}

/** Runs `multigate index`. */
export const index = (folder: string) => runCli(['index', folder])

/** The files of a folder that are to be copied. */
export function filesOf(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return (
    entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
      .filter((path) => path !== 'index.json' && path !== '.tables/index.json' && !path.startsWith('.sync/'))
      // It counts the imports of this folder.
      .filter((path) => !path.startsWith('.tables/.highest-'))
      .sort()
  )
}

export function sameFiles(t: Test, to: string, from: string): void {
  t.same(filesOf(to), filesOf(from))
  for (const path of filesOf(from)) t.ok(readFileSync(join(to, path)).equals(readFileSync(join(from, path))), path)
}

/** A folder with one version of a model, and of a feature table. */
export async function modelsFolder(t: Test): Promise<string> {
  const folder = await temporaryFolder(t)
  await writeTestBundle(folder)
  // With a list, no file of it is empty: the emulator of Google Cloud Storage takes none that is.
  await writeTable(folder, 'users', [{ id: 'u1', country: 'DE', tags: ['a'] }])
  return folder
}

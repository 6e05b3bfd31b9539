import { spawnSync } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'

const root = join(import.meta.dirname, '../../..')

/** By script, the file that setup expects of it. */
export const results = { server: 'dist/main.js', console: 'dist/console/index.html', modules: 'build/src/main.js' }

// Stands in for a script that builds, and keeps a log of its calls.
const callOf = (
  name: string,
  result: string,
) => `import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
appendFileSync('log', '${name}\\n')
if (existsSync('broken')) process.exit(1)
mkdirSync('${dirname(result)}', { recursive: true })
writeFileSync('${result}', '')`

// Stands in for npm, and keeps a log of its calls.
const npm = `
const fs = require('node:fs')
const args = process.argv.slice(2).filter((arg) => !/^--(loglevel|no-progress)/.test(arg))
fs.appendFileSync('log', 'npm ' + args.join(' ') + '\\n')
if (fs.existsSync('no-network')) process.exit(1)
if (args[0] === 'ci') fs.rmSync('node_modules', { recursive: true, force: true })
fs.mkdirSync('node_modules/a', { recursive: true })
`
export const builds = ['console', 'server']

/** A small project around the real script.  `setup` runs it and tells what it called, and how it ended. */
export function project(t: Test) {
  const folder = t.testdir({
    scripts: Object.fromEntries(
      Object.entries(results).map(([name, result]) => [`build-${name}.mjs`, callOf(name, result)]),
    ),
    src: { 'a.ts': '', console: { 'b.ts': '' } },
    test: { 'a.test.ts': '' },
    'package-lock.json': '{"packages":{}}',
    'package.json': '{}',
  })
  for (const name of ['setup.mjs', 'files.mjs', 'lock.mjs'])
    copyFileSync(join(root, 'scripts', name), join(folder, 'scripts', name))
  writeFileSync(join(folder, 'npm.js'), npm)
  const setup = (...args: string[]) => {
    const log = join(folder, 'log')
    writeFileSync(log, '')
    const env = { ...process.env, npm_execpath: join(folder, 'npm.js') }
    const run = spawnSync(process.execPath, ['scripts/setup.mjs', ...args], { cwd: folder, env, encoding: 'utf8' })
    const calls = readFileSync(log, 'utf8').trim().split('\n').filter(Boolean)
    const [installs, built] = [
      calls.filter((call) => call.startsWith('npm')),
      calls.filter((call) => !call.startsWith('npm')),
    ]
    return { status: run.status, calls: [...installs, ...built.sort()], output: run.stdout + run.stderr }
  }
  return { folder, setup }
}

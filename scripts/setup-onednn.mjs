// Sets up oneDNN, which computes models in bfloat16 and int8: its shared library comes from the
// Python wheel onednn-cpu-gomp, downloaded by pip from its configured index.
//   node scripts/setup-onednn.mjs                  into the user's cache folder, where multigate looks for it
//   node scripts/setup-onednn.mjs --to <folder>    into another folder: MULTIGATE_ONEDNN=<folder>/libdnnl.so.3 finds it
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { wheel } from './onednn-wheel.mjs'
import { cacheFolder, createSteps, root } from './setup-steps.mjs'

/** SHA-256 of the library in the wheel; multigate's own is in src/model/graph/onednn/find-library.ts. */
const libraryDigest = 'e6376208cf6bacb041c346b504207e3aa1189a13f941c92a4383a55ac27058ae'
const data = `${wheel.name.replaceAll('-', '_')}-${wheel.version}.data/data`
/** The files taken from the wheel, and their names here: the library comes last, because others look for it. */
const files = [
  ['share/doc/onednn/LICENSE', 'LICENSE'],
  ['share/doc/onednn/THIRD-PARTY-PROGRAMS', 'THIRD-PARTY-PROGRAMS'],
  ['lib/libdnnl.so.3.2', 'libdnnl.so.3'],
]
/** Instruction sets as bits, by oneDNN's `dnnl_cpu_isa_t`; the larger includes the smaller. */
const instructions = { vnni: 0x67, bfloat16: 0xe7, amx: 0xfef }
const limits = { verify: 60, download: 300, unpack: 60 }

const usage = `Usage: node scripts/setup-onednn.mjs [--to <folder>]
       npm run setup:onednn [-- --to <folder>]       in a checkout

Fetches oneDNN's shared library with pip, for models in bfloat16 and int8, into the user's cache folder or <folder>
(MULTIGATE_ONEDNN=<folder>/libdnnl.so.3 finds it there).`

const { say, fail, run, fetchWheel } = createSteps('setup:onednn')
const folder = chosenFolder()
const library = join(folder, 'libdnnl.so.3')

if (process.platform !== 'linux' || process.arch !== 'x64') {
  fail(`oneDNN is used on Linux x64 alone, and this is ${process.platform}-${process.arch}.`)
}
if (process.report.getReport().header.glibcVersionRuntime === undefined) {
  fail('the library needs glibc, which this Linux does not have.')
}
if (!isInstalled('koffi')) fail('koffi is not installed: run `npm ci` first.')

const already = existsSync(library) ? verifyInstalled() : undefined
if (already?.works) done(already, 'already works')
if (already !== undefined) say(`${library} does not work (${already.reason})`)
const openmp = load('libgomp.so.1')
if (openmp.status !== 0) {
  fail(`libgomp.so.1 can't be loaded (Debian: apt-get install libgomp1): ${reasonOf(openmp)}`)
}
done(provideLibrary(), 'works')

/** Also where npm has put a package beside multigate, not into it. */
function isInstalled(name) {
  try {
    return createRequire(import.meta.url).resolve(name) !== ''
  } catch {
    return false
  }
}

function chosenFolder() {
  try {
    const { to, help } = parseArgs({ options: { to: { type: 'string' }, help: { type: 'boolean' } } }).values
    if (help) {
      console.log(usage)
      process.exit(0)
    }
    if (to === '') throw new Error('--to needs a folder')
    return resolve(to ?? join(cacheFolder, 'onednn-3.2'))
  } catch (error) {
    fail(error.message)
  }
}

/** Fills the folder with the library and its licences, completely or not at all; answers what the library is. */
function provideLibrary() {
  const { python, work, file } = fetchWheel('oneDNN', folder, `${wheel.name}==${wheel.version}`, {
    ...{ megabytes: 40, limit: limits.download, options: ['--platform', 'manylinux1_x86_64'] },
  })
  const found = sha256(file)
  if (found !== wheel.digest) fail(`the wheel is not the expected one: its SHA-256 is ${found}, not ${wheel.digest}.`)

  // The wheel has the library three times, under its three names.
  const unpack = `
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
for name in sys.argv[3:]: archive.extract(name, sys.argv[2])`
  const names = files.map(([name]) => `${data}/${name}`)
  run('unpacking the wheel', limits.unpack, python, ['-c', unpack, file, work, ...names])
  const unpacked = verify(join(work, names.at(-1)))
  if (!unpacked.works) fail(`the library does not work: ${unpacked.reason}`)

  mkdirSync(folder, { recursive: true })
  for (const [i, [, name]] of files.entries()) renameSync(join(work, names[i]), join(folder, name))
  return unpacked
}

/** Verifies the library that is installed, if it is still the same file. */
function verifyInstalled() {
  return sha256(library) === libraryDigest ? verify(library) : { works: false, reason: 'it is damaged' }
}

function sha256(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}

/** Asks the library for its version and the instructions that it uses here. */
function verify(path) {
  const child = load(
    path,
    `const version = koffi.decode(library.func('int *dnnl_version()')(), koffi.array('int', 3))
    const isa = library.func('int dnnl_get_effective_cpu_isa()')()
    console.log(JSON.stringify({ version: version.join('.'), isa }))`,
  )
  if (child.status !== 0) return { works: false, reason: reasonOf(child) }
  const { version, isa } = JSON.parse(child.stdout)
  return version.startsWith('3.')
    ? { works: true, version, isa }
    : { works: false, reason: `it is oneDNN ${version}: version 3 is needed` }
}

/** Loads a library, and runs a program with it, in a child process: a broken library can crash it. */
function load(path, program = '') {
  return spawnSync(
    process.execPath,
    ['-e', `const koffi = require('koffi'); const library = koffi.load(process.argv[1]); ${program}`, path],
    { cwd: root, encoding: 'utf8', env: { ...process.env, NODE_V8_COVERAGE: '' }, timeout: limits.verify * 1000 },
  )
}

function reasonOf({ error, stderr, signal, status }) {
  return error?.message ?? stderr.match(/^\w*Error.*$/m)?.[0] ?? signal ?? `exit code ${status}`
}

function done({ version, isa }, how) {
  const has = (bits) => (isa & bits) === bits
  const use = has(instructions.amx)
    ? 'this processor has AMX for it'
    : has(instructions.bfloat16)
      ? 'this processor has AVX512-BF16 for it'
      : has(instructions.vnni)
        ? 'this processor has AVX512-VNNI for int8, and nothing for bfloat16'
        : 'this processor has neither AMX nor AVX512-VNNI, so that multigate does not use it here'
  say(`oneDNN ${version} ${how}; ${use}`)
  process.exit(0)
}

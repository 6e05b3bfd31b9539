// Sets up the native part of @tensorflow/tfjs-node. npm installs only its JavaScript: install scripts are off, because
// many networks can't reach the host of the C library and the addon. It tries, in this order:
//   1. the package's own install script, if its download host answers;
//   2. on Linux x64, the same C library from the Python wheel tensorflow-cpu, downloaded by pip from its configured
//      index, and the addon compiled from the package's source.
// `npm ci` removes the result; the library stays in the user's cache folder, so the next run takes seconds.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { cacheFolder, createSteps, root } from './setup-steps.mjs'

// tfjs-node 4.22 targets the C API of TensorFlow 2.9; 2.15 still has every symbol that it uses.
const wheel = 'tensorflow-cpu==2.15.*'
const seconds = 1000
const limits = { verify: 60, probe: 5, download: 900, build: 600 }

const tfjsNode = join(root, 'node_modules/@tensorflow/tfjs-node')
const addon = join(tfjsNode, 'lib/napi-v8/tfjs_binding.node')
const cache = join(cacheFolder, 'tensorflow-2.15')
const { say, fail, run, fetchWheel } = createSteps('setup:tensorflow')

if (!existsSync(tfjsNode)) fail('@tensorflow/tfjs-node is not installed: run `npm ci` (without --omit=dev) first.')

const { version } = JSON.parse(readFileSync(join(tfjsNode, 'package.json'), 'utf8'))
// The addon uses Node-API: one build works with every Node version and depends only on the package's source.
const cachedAddon = join(cache, `tfjs_binding-${version}.node`)

const already = verify()
if (already.works) done('already works')

if (await hostAnswers()) {
  say("running tfjs-node's own install script")
  const env = { ...process.env, ...nodedirVariable() }
  env.PATH = [join(root, 'node_modules/.bin'), env.PATH].join(delimiter)
  spawnSync(process.execPath, ['scripts/install.js'], {
    cwd: tfjsNode,
    env,
    stdio: 'inherit',
    timeout: limits.download * seconds,
  })
  const own = verify()
  if (own.works) done("works, by tfjs-node's own download")
  say(`its result does not load (${own.reason})`)
} else {
  say("tfjs-node's download host does not answer")
}

if (process.platform !== 'linux' || process.arch !== 'x64') {
  fail(
    `no other source of libtensorflow for ${process.platform}-${process.arch}.\n` +
      'Set TFJS_NODE_CDN_STORAGE to a mirror, or serve with the wasm backend, which needs no setup.',
  )
}

provideLibrary()
linkLibrary()
if (existsSync(cachedAddon)) {
  mkdirSync(dirname(addon), { recursive: true })
  copyFileSync(cachedAddon, addon)
  if (verify().works) done('works, from the cache')
}
buildAddon()
const built = verify()
if (!built.works) fail(`the addon was built but does not work: ${built.reason}`)
copyFileSync(addon, cachedAddon)
done('works, built from source')

/** Multiplies two matrices in a child process, because a broken addon can crash it. */
function verify() {
  if (!existsSync(addon)) return { works: false, reason: 'no addon' }
  // Node 23 removed the two functions that tfjs-node 4.22 still calls.
  const program = `
    const util = require('node:util')
    util.isNullOrUndefined ??= (value) => value === null || value === undefined
    util.isArray ??= Array.isArray
    const tf = require('@tensorflow/tfjs-node')
    const product = tf.matMul([[1, 2]], [[3], [4]]).dataSync()[0]
    console.log(tf.getBackend(), product)`
  const child = spawnSync(process.execPath, ['-e', program], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2', NODE_V8_COVERAGE: '' },
    timeout: limits.verify * seconds,
  })
  if (child.stdout?.trim().endsWith('tensorflow 11')) return { works: true }
  const reason = child.error?.message ?? child.stderr.match(/^\w*Error.*$/m)?.[0] ?? child.signal ?? child.stdout
  return { works: false, reason }
}

/** Whether the download host of tfjs-node's install script can be reached. */
async function hostAnswers() {
  const host =
    process.env.TFJS_NODE_CDN_STORAGE ||
    process.env.npm_config_TFJS_NODE_CDN_STORAGE ||
    process.env.CDN_STORAGE ||
    'https://storage.googleapis.com/'
  try {
    // Any status will do: only the connection matters.
    await fetch(host, { method: 'HEAD', redirect: 'manual', signal: AbortSignal.timeout(limits.probe * seconds) })
    return true
  } catch {
    return false
  }
}

/** Fills the cache folder with `lib/` and `include/` of libtensorflow, completely or not at all. */
function provideLibrary() {
  if (existsSync(join(cache, 'include')) && existsSync(join(cache, 'lib'))) return say('libtensorflow is in the cache')
  // The wheel is only unpacked, so its Python version does not matter.
  const platforms = ['--platform', 'manylinux2014_x86_64', '--platform', 'manylinux_2_17_x86_64']
  const { python, work, file } = fetchWheel('libtensorflow', cache, wheel, {
    ...{ megabytes: 200, limit: limits.download, options: ['--python-version', '3.11', ...platforms] },
  })

  say('unpacking libtensorflow (about 600 MB)')
  const unpack = `
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
wanted = ('tensorflow/libtensorflow_', 'tensorflow/include/tsl/', 'tensorflow/include/tensorflow/c/',
          'tensorflow/include/tensorflow/core/platform/')
archive.extractall(sys.argv[2], [name for name in archive.namelist() if name.startswith(wanted)])`
  run('unpacking the wheel', limits.build, python, ['-c', unpack, file, work])

  const fresh = join(work, 'fresh')
  mkdirSync(join(fresh, 'lib'), { recursive: true })
  for (const name of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2']) {
    renameSync(join(work, 'tensorflow', name), join(fresh, 'lib', name))
  }
  renameSync(join(work, 'tensorflow/include'), join(fresh, 'include'))
  rmSync(cache, { recursive: true, force: true })
  renameSync(fresh, cache)
  rmSync(work, { recursive: true, force: true })
}

/** Links the cached library to where binding.gyp looks for it, under the names that the linker expects. */
function linkLibrary() {
  const deps = join(tfjsNode, 'deps')
  rmSync(deps, { recursive: true, force: true })
  mkdirSync(join(deps, 'lib'), { recursive: true })
  symlinkSync(join(cache, 'include'), join(deps, 'include'))
  for (const [name, target] of [
    ['libtensorflow_cc.so.2', join(cache, 'lib/libtensorflow_cc.so.2')],
    ['libtensorflow_framework.so.2', join(cache, 'lib/libtensorflow_framework.so.2')],
    ['libtensorflow.so', 'libtensorflow_cc.so.2'],
    ['libtensorflow.so.2', 'libtensorflow_cc.so.2'],
    ['libtensorflow_framework.so', 'libtensorflow_framework.so.2'],
  ]) {
    symlinkSync(target, join(deps, 'lib', name))
  }
}

function buildAddon() {
  const headers = nodeHeaders()
  if (!headers) {
    fail(
      `Node's C headers are missing: no include/node/node_api.h under ${dirname(dirname(process.execPath))}.\n` +
        'Use a Node from nodejs.org or NodeSource, which includes them, or unpack its headers archive\n' +
        '(node-<version>-headers.tar.gz) and set npm_config_nodedir to that folder. Any version from 20 on will do.',
    )
  }
  for (const tool of ['make', 'g++']) {
    if (spawnSync(tool, ['--version']).status !== 0) {
      fail(`needs ${tool} to compile the addon (Debian: apt-get install g++ make python3).`)
    }
  }
  say('compiling the addon')
  const gyp = join(root, 'node_modules/node-gyp/bin/node-gyp.js')
  if (!existsSync(gyp)) fail('node-gyp is not installed: run `npm ci` with development dependencies first.')
  run('node-gyp', limits.build, process.execPath, [
    ...[gyp, 'rebuild', '--directory', tfjsNode, '--loglevel=error', `--nodedir=${headers}`],
    ...['--module_name=tfjs_binding', `--module_path=${dirname(addon)}`],
    ...['--napi_version=9', '--napi_build_version=8'],
  ])
  // Intermediate objects; the addon itself is in lib/.
  rmSync(join(tfjsNode, 'build'), { recursive: true, force: true })
}

/** The folder with Node's headers, so that node-gyp downloads none. */
function nodeHeaders() {
  return [dirname(dirname(process.execPath)), process.env.npm_config_nodedir, '/usr', '/usr/local'].find(
    (prefix) => prefix && existsSync(join(prefix, 'include/node/node_api.h')),
  )
}

function nodedirVariable() {
  const headers = nodeHeaders()
  return headers ? { npm_config_nodedir: headers } : {}
}

function done(line) {
  say(`native TensorFlow ${line}`)
  process.exit(0)
}

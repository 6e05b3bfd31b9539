// Copies ONNX Runtime's CPU libraries to dist/onnxruntime-node, for every platform or for those named. The package
// contains them, so installing it runs no script: onnxruntime-node's own install script downloads GPU libraries and
// fails if their host can't be reached.
//   node scripts/bundle-onnxruntime.mjs [--to FOLDER] [linux-x64] [linux-arm64] [darwin-arm64] [win32-x64]
//                                       [win32-arm64]
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'

const root = join(import.meta.dirname, '..')
const from = join(root, 'node_modules/onnxruntime-node')
const { values, positionals: wanted } = parseArgs({ options: { to: { type: 'string' } }, allowPositionals: true })
const to = values.to ?? join(root, 'dist/onnxruntime-node')
const binaries = 'bin/napi-v6'

// onnxruntime.dll needs no other library: it loads DirectML.dll only on the first use of a GPU.
const library = { linux: 'libonnxruntime.so.1', darwin: 'libonnxruntime.1.dylib', win32: 'onnxruntime.dll' }

const all = readdirSync(join(from, binaries)).flatMap((system) =>
  readdirSync(join(from, binaries, system)).map((processor) => `${system}-${processor}`),
)
const unknown = wanted.filter((platform) => !all.includes(platform))
if (unknown.length > 0) {
  console.error(`ONNX Runtime has no binary for ${unknown.join(', ')}; it has ${all.join(', ')}`)
  process.exit(1)
}

rmSync(to, { recursive: true, force: true })
for (const platform of wanted.length > 0 ? wanted : all) {
  const [system, processor] = platform.split('-')
  for (const file of ['onnxruntime_binding.node', library[system]]) take(join(binaries, system, processor, file))
}
for (const file of readdirSync(join(from, 'dist'))) if (file.endsWith('.js')) take(join('dist', file))

// Scripts and dependencies are omitted: they belong to the install script.
const { name, version, license, author, repository, main } = JSON.parse(
  readFileSync(join(from, 'package.json'), 'utf8'),
)
const description = { name, version, license, author, repository, main }
writeFileSync(join(to, 'package.json'), `${JSON.stringify(description, null, 2)}\n`)
copyFileSync(join(import.meta.dirname, './onnxruntime-license.txt'), join(to, 'LICENSE'))
// From the Python wheel of the same release, which ships the notices that the npm package lacks.
copyFileSync(join(import.meta.dirname, './onnxruntime-notices.txt'), join(to, 'ThirdPartyNotices.txt'))

function take(file) {
  if (!existsSync(join(from, file))) {
    console.error(`onnxruntime-node has no ${file}: scripts/bundle-onnxruntime.mjs must be adapted to this version`)
    process.exit(1)
  }
  mkdirSync(dirname(join(to, file)), { recursive: true })
  copyFileSync(join(from, file), join(to, file))
}

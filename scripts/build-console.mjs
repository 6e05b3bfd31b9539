// Bundles the console, src/console/, into dist/console: a page, and its scripts and styles, compressed beside
// themselves.
//   node scripts/build-console.mjs            once
//   node scripts/build-console.mjs --watch    at every change
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { build, context } from 'esbuild'
import { licencesOf } from './bundled-licences.mjs'

process.chdir(join(import.meta.dirname, '..'))
const from = join(import.meta.dirname, '../src/console')
const to = join(import.meta.dirname, '../dist/console')
const assets = join(to, 'assets')

const options = {
  entryPoints: [join(from, 'main.tsx')],
  outdir: assets,
  entryNames: '[name]-[hash]',
  chunkNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  bundle: true,
  // Each page is a file of its own, loaded when it is first shown.
  splitting: true,
  format: 'esm',
  target: ['es2022', 'chrome110', 'firefox115', 'safari16.4'],
  minify: true,
  metafile: true,
  legalComments: 'none',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  logLevel: 'warning',
  plugins: [{ name: 'page', setup: (builder) => builder.onEnd(finish) }],
}

if (process.argv.includes('--watch')) {
  const watching = await context({ ...options, minify: false })
  await watching.watch()
} else {
  rmSync(to, { recursive: true, force: true })
  mkdirSync(assets, { recursive: true })
  await build(options)
}

/** Writes the page, and the compressed form of each file. */
function finish({ metafile, errors }) {
  if (errors.length > 0) return
  const outputs = Object.keys(metafile.outputs).map((path) => basename(path))
  const entry = (extension) =>
    `console/assets/${outputs.find((name) => new RegExp(`^main-.*\\.${extension}$`).test(name))}`
  const page = readFileSync(join(from, 'index.html'), 'utf8')
  writeFileSync(join(to, 'index.html'), page.replace('main.css', entry('css')).replace('main.js', entry('js')))
  writeFileSync(join(to, 'licenses.txt'), licencesOf(Object.keys(metafile.inputs)))
  for (const name of readdirSync(assets)) {
    if (!outputs.includes(name)) rmSync(join(assets, name))
    else compress(join(assets, name))
  }
}

function compress(file) {
  const bytes = readFileSync(file)
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }))
  writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
}

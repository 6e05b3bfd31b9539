// Bundles the server, the command line and the library into dist/, with the scripts of their threads and processes.
//   node scripts/build-server.mjs            once
//   node scripts/build-server.mjs --watch    at every change of these; a new thread's script needs a new start
// dist/ is flat: main.js, cli.js, index.js, a file for each script, and the chunks that they share, so that a process
// has one copy of each module. Optional packages stay outside: they load from node_modules when they are first needed.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build, context } from 'esbuild'
import { licencesOf } from './bundled-licences.mjs'
import { filesBelow } from './files.mjs'
import { removeOldChunks } from './old-chunks.mjs'
import { replaceScriptUrls, scriptUrl } from './script-urls.mjs'
import { webassembly } from './webassembly.mjs'

process.chdir(join(import.meta.dirname, '..'))
const to = 'dist'

const { optionalDependencies, peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8'))
// prom-client needs this one in every process: its copy and those of tracing share what is global.
delete optionalDependencies['@opentelemetry/api']
const options = {
  entryPoints: entryPoints(),
  outdir: to,
  chunkNames: '[name]-[hash]',
  // By `finish`: esbuild would remove the last good build where one fails while it watches.
  write: false,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  // Half as much to parse; lines stay short enough for a stack trace to point at them.
  minifyWhitespace: true,
  lineLimit: 120,
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'none',
  metafile: true,
  external: [...Object.keys(optionalDependencies), ...Object.keys(peerDependencies), 'onnxruntime-node'],
  // Packages in CommonJS ask for Node's own modules by `require`.
  banner: {
    js: "import { createRequire as createBundleRequire } from 'node:module'\nconst require = createBundleRequire(import.meta.url)",
  },
  plugins: [
    webassembly,
    // Scripts lie beside whatever starts them, in whatever folders their sources are.
    replaceScriptUrls((script) => `new URL('./${basename(script)}', import.meta.url)`),
    { name: 'finish', setup: (builder) => builder.onEnd(finish) },
  ],
  logLevel: 'warning',
}

if (process.argv.includes('--watch')) {
  const watching = await context(options)
  await watching.watch()
} else {
  await build(options)
}

/** By their names in dist/. */
function entryPoints() {
  const sources = filesBelow('src').filter((file) => file.endsWith('.ts'))
  const scripts = sources.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(scriptUrl)].map(([, path]) =>
      join(file, '..', path.replace(/\.js$/, '.ts')),
    ),
  )
  const named = {}
  for (const path of new Set(['src/main.ts', 'src/cli.ts', 'src/index.ts', ...scripts])) {
    const name = basename(path, '.ts')
    if (name in named) throw new Error(`${path} needs another name: ${named[name]} has it in dist/`)
    named[name] = path
  }
  return named
}

/** Writes what has changed, and the licences of what is bundled, and removes what is of no use any more. */
function finish({ metafile, outputFiles, errors }) {
  if (errors.length > 0) return
  mkdirSync(to, { recursive: true })
  for (const { path, contents } of outputFiles)
    if (!existsSync(path) || !readFileSync(path).equals(contents)) writeFileSync(path, contents)
  removeOldChunks(
    to,
    Object.keys(metafile.outputs).map((path) => basename(path)),
  )
  writeFileSync(join(to, 'licenses.txt'), licencesOf(Object.keys(metafile.inputs)))
}

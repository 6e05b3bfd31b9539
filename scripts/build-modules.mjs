// Compiles src/, test/ and loadtest/ file by file into build/, for tests and tools.  It erases types: `npm run
// typecheck` checks them.
//   node scripts/build-modules.mjs            all, and removes what deleted sources left
//   node scripts/build-modules.mjs FILE…      these
import { rmSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { build } from 'esbuild'
import { filesBelow } from './files.mjs'
import { replaceScriptUrls } from './script-urls.mjs'
import { webassembly } from './webassembly.mjs'

const root = join(import.meta.dirname, '..')
const folders = ['src', 'test', 'loadtest']

/**
 * Threads run the bundles of their scripts, which start several times as fast, where TEST_SCRIPTS is the URL of the
 * bundles' folder (scripts/test.mjs).
 */
const bundledScripts = replaceScriptUrls(
  (script, url) => `(process.env.TEST_SCRIPTS ? new URL('./${basename(script)}', process.env.TEST_SCRIPTS) : ${url})`,
)

/** Compiles sources, paths from the root, and the WebAssembly and the modules of the console that they import. */
export async function buildModules(files, done = new Set()) {
  const wanted = new Set()
  await build({
    absWorkingDir: root,
    entryPoints: files.map((file) => ({ in: file, out: join('build', file.replace(/\.ts$/, '')) })),
    outdir: '.',
    // Bundles of one module each: that is how esbuild tells which paths are imported.
    bundle: true,
    treeShaking: false,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'warning',
    plugins: [
      webassembly,
      bundledScripts,
      {
        name: 'modules',
        setup: ({ onResolve }) => {
          onResolve({ filter: /./ }, ({ path, kind, resolveDir }) => {
            if (kind === 'entry-point') return undefined
            if (path.startsWith('.') && /\.(ts|wat)$/.test(path)) {
              wanted.add(relative(root, join(resolveDir, path)))
              return { path: path.replace(/(?:\.ts)?$/, '.js'), external: true }
            }
            return { path, external: true }
          })
        },
      },
    ],
  })
  for (const file of files) done.add(file)
  const missing = [...wanted].filter(
    (file) => !done.has(file) && (file.endsWith('.wat') || file.startsWith('src/console/')),
  )
  if (missing.length > 0) await buildModules(missing, done)
  return done
}

if (process.argv[1] === import.meta.filename) {
  const named = process.argv.slice(2)
  const built = await buildModules(named.length > 0 ? named : folders.flatMap(sourcesOf))
  if (named.length === 0) for (const folder of folders) removeOrphans(folder, built)
}

function sourcesOf(folder) {
  return filesBelow(join(root, folder))
    .map((file) => relative(root, file))
    .filter((file) => /(?<!\.d)\.ts$/.test(file) && !file.startsWith('src/console/') && !file.includes('node_modules'))
}

/** Tests of deleted sources would otherwise run. */
function removeOrphans(folder, built) {
  const kept = new Set([...built].map((file) => join('build', file.replace(/\.ts$/, ''))))
  for (const file of filesBelow(join(root, 'build', folder)))
    if (!kept.has(relative(root, file).replace(/\.(?:d\.ts|js|js\.map)$/, ''))) rmSync(file)
}

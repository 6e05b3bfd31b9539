// Bundles TypeBox into build/typebox: its 700 modules would take 0.2 s of every start, in every process and worker thread.
// Code imports it as `#typebox`, `#typebox/schema` and `#typebox/system`; package.json's `imports` lead there.
//   node scripts/bundle-typebox.mjs
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const from = join(import.meta.dirname, '../node_modules/typebox')
const to = join(import.meta.dirname, '../build/typebox')

await build({
  entryPoints: ['index', 'schema/index', 'system/index'].map((name) => join(from, 'build', `${name}.mjs`)),
  outdir: to,
  bundle: true,
  // All three share one copy: what one sets, the others see.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
})
copyFileSync(join(from, 'license'), join(to, 'LICENSE'))

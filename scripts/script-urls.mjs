// How sources name the scripts of threads and processes: what both builds make of it.
import { readFileSync } from 'node:fs'

export const scriptUrl = /new URL\(\s*'([^']+\.js)',\s*import\.meta\.url\s*\)/g

/** A plugin of esbuild that replaces each such URL in src/ by what `replacement` answers to its path. */
export const replaceScriptUrls = (replacement) => ({
  name: 'scripts',
  setup: ({ onLoad }) =>
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace(scriptUrl, (url, script) => replacement(script, url)),
      loader: 'ts',
      watchFiles: [path],
    })),
})

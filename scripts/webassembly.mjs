// Plugin of esbuild: `import kernel from './kernel.wat'` gives the compiled module's bytes, a Uint8Array.
import { readFile } from 'node:fs/promises'

/** Loaded with the first kernel: it is large. */
let wabt

/** Compiles WebAssembly's text format, with SIMD. Rejects with the line of a fault. */
export async function compileText(file) {
  wabt ??= import('wabt').then((module) => module.default())
  const module = (await wabt).parseWat(file, await readFile(file, 'utf8'), { simd: true })
  try {
    return module.toBinary({}).buffer
  } finally {
    module.destroy()
  }
}

export const webassembly = {
  name: 'webassembly',
  setup({ onLoad }) {
    onLoad({ filter: /\.wat$/ }, async ({ path }) => ({
      contents: await compileText(path),
      loader: 'binary',
      watchFiles: [path],
    }))
  },
}

import { readFile } from 'node:fs/promises'
import createWabt from 'wabt'

/** A kernel in WebAssembly's text format, compiled; base64. */
export async function compiledSource(file: string): Promise<string> {
  const wabt = await createWabt()
  const module = wabt.parseWat(file, await readFile(file, 'utf8'), { simd: true })
  try {
    return Buffer.from(module.toBinary({}).buffer).toString('base64')
  } finally {
    module.destroy()
  }
}

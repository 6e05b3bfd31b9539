import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const root = join(import.meta.dirname, '../../..')

/** Writes the library's declarations into dist/types, as `npm run build` does. Rejects with what the compiler says. */
export async function writeDeclarations(): Promise<void> {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  await promisify(execFile)(process.execPath, [tsc, '-p', join(root, 'scripts/tsconfig.types.json')])
}

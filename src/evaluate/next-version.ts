import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Terminal } from '../model/base/terminal.ts'
import type { Bundle } from '../model/bundle/read.ts'
import type { CopiedFile } from '../model/bundle/write.ts'
import { signatureFile } from '../model/version/signature.ts'
import { versionsOnDisk } from './previous-version.ts'

/* A version that is made of another: the same graph, with something else around it. */

/** The number after the highest version on disk. */
export async function nextVersion({ folder, manifest }: Bundle): Promise<string> {
  const [highest = manifest.version] = await versionsOnDisk(dirname(dirname(folder)), manifest.name)
  return String(BigInt(highest) + 1n)
}

/** Files of a version, to be copied. */
export function copiedFiles({ folder, manifest }: Bundle, paths: readonly string[]): Record<string, CopiedFile> {
  return Object.fromEntries(
    paths.map((path) => [path, { from: join(folder, path), sha256: manifest.files[path]! }] as const),
  )
}

/** Says that the new version needs a signature, where the former has one. */
export function warnUnsigned({ folder, manifest }: Bundle, written: string, err: Terminal): void {
  if (!existsSync(join(folder, signatureFile))) return
  err.write(`${manifest.name}/${manifest.version} is signed, the new version is not: multigate sign ${written}\n`)
}

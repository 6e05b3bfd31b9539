import { readdir, realpath } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { ModelError } from '../base/errors.ts'
import { fileReason } from '../base/regular-file.ts'

/**
 * The real path of a file below `inside`, which is a real path itself; `where` names the file. Rejects with INVALID_BUNDLE if it
 * leads out, with the system's error if there is no such file.
 */
export async function realPathInside(inside: string, path: string, where: string): Promise<string> {
  const real = await realpath(path)
  // Names may begin with two dots: Kubernetes mounts files as links into a folder `..data`.
  if (`${relative(inside, real)}${sep}`.startsWith(`..${sep}`))
    throw new ModelError('INVALID_BUNDLE', `${where} leads out of its folder`)
  return real
}

/** Rejects with INVALID_BUNDLE if a link in a version's folder leads out of it; `version` names the folder. */
export async function checkLinks(folder: string, version: string): Promise<void> {
  const inside = await realpath(folder)
  const links = (await readdir(inside, { recursive: true, withFileTypes: true })).filter((entry) =>
    entry.isSymbolicLink(),
  )
  for (const { parentPath, name } of links) {
    const path = join(parentPath, name)
    const where = `${version}/${relative(inside, path).split(sep).join('/')}`
    await realPathInside(inside, path, where).catch((cause) => {
      if (cause instanceof ModelError) throw cause
      throw new ModelError('INVALID_BUNDLE', `${where} can't be read: ${fileReason(cause)}`, { cause })
    })
  }
}

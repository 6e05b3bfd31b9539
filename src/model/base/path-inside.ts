import { isAbsolute, join, relative, resolve, sep } from 'node:path'
import { ModelError } from './errors.ts'

/** The absolute path of `name` below `base`; throws INVALID_BUNDLE if it is absolute or leaves `folder`. */
export function pathInside(folder: string, base: string, name: string): string {
  const path = resolve(join(base, name))
  const fromFolder = relative(folder, path)
  if (isAbsolute(name) || fromFolder === '' || fromFolder === '..' || fromFolder.startsWith(`..${sep}`))
    throw new ModelError('INVALID_BUNDLE', `${name}: is not a path inside the folder of the model`)
  return path
}

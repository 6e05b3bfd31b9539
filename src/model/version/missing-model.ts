import { readdir } from 'node:fs/promises'
import { closestName } from '../base/closest-name.ts'

/** Says that `path` is neither a path to a model nor a model in `models`, and suggests the model with the closest name. */
export async function missingModel(
  path: string,
  models: string,
  kinds = 'the folder of a model or version',
): Promise<string> {
  const meant = closestName(path, await readdir(models).catch(() => []))
  const suggestion = meant === undefined ? '' : `; did you mean ${meant}?`
  return `${path} is neither ${kinds} nor a model in ${models}${suggestion}`
}

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { closestName } from '../model/base/closest-name.ts'
import { ModelError, reasonOf } from '../model/base/errors.ts'
import type { Bundle } from '../model/bundle/read.ts'
import { findBundle } from '../model/version/open-version.ts'

/** The highest version of a model, by name. Requests can only be drawn for a model whose manifest says what its fields are. */
export async function openModelToLoad(models: string, model: string): Promise<Bundle> {
  const names = await readdir(models).catch((error) => {
    throw new ModelError('MODEL_NOT_FOUND', `--models: ${reasonOf(error)}`)
  })
  const bundle = names.includes(model) ? await findBundle(join(models, model)) : undefined
  if (bundle === undefined) {
    const meant = closestName(model, names)
    const suggestion = meant === undefined || meant === model ? '' : `; did you mean ${meant}?`
    throw new ModelError('MODEL_NOT_FOUND', `--model: there is no model ${model} in ${models}${suggestion}`)
  }
  if (bundle.manifestless)
    throw new ModelError(
      'INVALID_REQUEST',
      `--model: ${model} has no manifest that describes its fields; multigate init writes one`,
    )
  return bundle
}

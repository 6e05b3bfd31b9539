import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { importModel } from '../../../src/tools/convert/import-model.ts'
import { importOptions } from '../import-options.ts'
import { type ReferenceModel, readReference, referenceFolder } from '../reference.ts'

/** Every file that Keras 2.15 and Keras 3 saved of the reference's classes. */
export const importedFiles = [
  // The quickest few: one of each format.
  'keras2/aitm/model.weights.h5',
  'keras2/shared_bottom/weights-renamed.h5',
  'keras3/moe/model.weights.h5',
  'keras3/mmoe/model.keras',
  ...['mmoe', 'moe', 'shared_bottom'].map((model) => `keras2/${model}/model.weights.h5`),
  ...['mmoe', 'moe'].map((model) => `keras2/${model}/weights-renamed.h5`),
  ...['mmoe', 'shared_bottom'].map((model) => `keras3/${model}/model.weights.h5`),
  'keras2/mmoe/model.keras',
]

/** Files at the beginning of `importedFiles` that the system tier imports. */
export const quickest = 4

/** Imports a file, which loads the version as the server would: in threads of its own. */
export async function importsReference(t: Test, file: string): Promise<void> {
  const folder = t.testdir()
  const path = join(referenceFolder, file)
  const golden = join(dirname(path), 'io.json')
  const { manifest, plan } = await importModel(
    importOptions(path, folder, { golden, tasks: ['income_50k', 'never_married'] }),
  )
  t.equal(manifest.golden?.rows.length, 64)
  t.equal(manifest.golden?.tolerance, 1e-5)
  t.ok(plan.compiled)
  const { options } = await readReference(dirname(file) as ReferenceModel)
  t.same(manifest.architecture, options, 'the options follow from the weights')
}

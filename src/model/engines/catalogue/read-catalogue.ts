import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../../../base/errors.ts'
import type { CatalogueDescription, ReadyCatalogue } from '../../contracts/catalogue.ts'
import { type CompiledPlan, filesOf, type VariantFiles } from '../../contracts/compiled-plan.ts'
import { planDigest } from '../../graph/compile/plan-files.ts'
import { checkStored, readSealed, unseal } from '../../graph/compile/stored-files.ts'
import { catalogueFiles, descriptionFile, isSound } from './key-index.ts'
import type { RowShape } from './row-format.ts'

/** Must change whenever the files' form, or the hash of keys, changes. */
export const catalogueFormat = 1

/** The parts of a plan that a catalogue must fit. */
export type CataloguePlan = Pick<CompiledPlan, 'folder' | 'description' | 'precision'>

/**
 * The catalogue beside a plan, of the precision that is served; its index is read into memory that threads can share.
 * undefined if there is none. Rejects with an Error that says why it does not fit or is damaged.
 */
export async function readCatalogue(plan: CataloguePlan): Promise<ReadyCatalogue | undefined> {
  const text = await readSealed(join(plan.folder, descriptionFile(plan.precision)))
  if (text === undefined) return undefined
  try {
    return await readFiles(plan, text)
  } catch (error) {
    // Another one may have taken its place meanwhile.
    const now = await readSealed(join(plan.folder, descriptionFile(plan.precision)))
    if (now === text) throw error
    return now === undefined ? undefined : readFiles(plan, now)
  }
}

async function readFiles(plan: CataloguePlan, text: string): Promise<ReadyCatalogue> {
  const file = descriptionFile(plan.precision)
  const description = unseal(text, file) as CatalogueDescription | null
  if (description?.format !== catalogueFormat)
    throw new Error(`${file} has format ${description?.format}, not ${catalogueFormat}`)
  const { layers, candidate_encoder } = filesOf(plan)
  const isFor =
    description.plan === planDigest(plan.description) &&
    candidate_encoder !== undefined &&
    `${description.widths}` === `${keptWidths(layers)}`
  if (!isFor) throw new Error('it was made for another plan: run multigate warm again')
  const folder = join(plan.folder, description.folder)
  await checkStored(folder, description.files)
  return { folder, description, index: await readIndex(join(folder, catalogueFiles.index), description) }
}

/** Reads the index into shared memory. Rejects with an Error if it could not be searched. */
async function readIndex(path: string, { rows, files }: CatalogueDescription): Promise<Int32Array> {
  const bytes = new Uint8Array(new SharedArrayBuffer(files[catalogueFiles.index]?.bytes ?? 0))
  const file = await open(path)
  try {
    let at = 0
    while (at < bytes.length) {
      const { bytesRead } = await file.read(bytes, at, Math.min(bytes.length - at, 2 ** 26), at)
      if (bytesRead === 0) throw new Error(`${catalogueFiles.index} ends too early`)
      at += bytesRead
    }
  } catch (error) {
    throw new Error(`${catalogueFiles.index} can't be read: ${reasonOf(error)}`)
  } finally {
    await file.close()
  }
  const index = bytes.length % 8 === 0 ? new Int32Array(bytes.buffer) : new Int32Array(0)
  if (!isSound(index, rows)) throw new Error(`${catalogueFiles.index} is damaged`)
  return index
}

/** The form of a catalogue's rows. */
export function shapeOf({
  precision,
  keyWords,
  widths,
}: Pick<CatalogueDescription, 'precision' | 'keyWords' | 'widths'>): RowShape {
  return { precision, keyWords, width: widths.reduce((sum, width) => sum + width, 0) }
}

/** Width of each part that is kept of a candidate. */
export function keptWidths(layers: VariantFiles['layers']): number[] {
  return layers.flatMap(({ kept, width }) => (kept ? [width] : []))
}

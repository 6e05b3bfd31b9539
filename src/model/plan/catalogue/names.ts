import type { Precision } from '../../contracts/compiled-plan.ts'

/** The file beside a plan that describes its catalogue and names the folder of its files. */
export function descriptionFile(precision: Precision): string {
  return `catalogue-${precision}.json`
}

/** Files of a catalogue. */
export const catalogueFiles = {
  graph: 'catalogue.onnx',
  rows: 'rows.bin',
  index: 'index.bin',
} as const

/** Tensors of the catalogue's graph. */
export const catalogueTensors = { slots: 'slots', stored: 'stored' } as const

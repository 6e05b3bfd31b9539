import { createEngine } from '../model/engines/create.ts'
import { encoderOf } from '../model/features/encoder.ts'
import { bindingsOf, toBatch } from '../model/prediction/bindings.ts'
import { savedGraph } from '../model/prediction/load-graph.ts'
import type { GoldenRows, Manifest } from '../schemas/manifest.ts'

/**
 * What a saved graph in `folder` answers to named rows, a number per row and task, before any calibration. Rejects like an engine's
 * `load`, and with INVALID_REQUEST where the rows don't fit the manifest's fields.
 */
export async function askGraph(
  folder: string,
  manifest: Omit<Manifest, 'files'>,
  rows: GoldenRows['rows'],
): Promise<number[][]> {
  const whole = { ...manifest, files: {} }
  const encoded = encoderOf(whole).rows(undefined, rows, { maxRows: rows.length, partial: false })
  const { probabilities: output } = bindingsOf(whole)
  const graph = await (await createEngine('auto', 1)).load(savedGraph({ folder, manifest: whole }, [output]))
  try {
    const answers = Array.from((await graph.run(toBatch(whole, encoded), [output]))[output]!)
    const width = manifest.tasks.length
    return rows.map((_, row) => answers.slice(row * width, (row + 1) * width))
  } finally {
    await graph.close()
  }
}

import { createEngine } from '../model/engines/create.ts'
import { encoderOf } from '../model/features/encoder.ts'
import { bindingsOf, toBatch } from '../model/prediction/bindings.ts'
import { savedGraph } from '../model/prediction/load-graph.ts'
import type { GoldenRows, Manifest } from '../schemas/manifest.ts'

/**
 * Asks a saved graph in `folder` for its answers to named rows: [rows][tasks], uncalibrated. Rejects like an engine's `load`, and
 * with INVALID_REQUEST if the rows do not fit the manifest's fields.
 */
export async function askGraph(
  folder: string,
  manifest: Omit<Manifest, 'files'>,
  rows: GoldenRows['rows'],
): Promise<number[][]> {
  const complete = { ...manifest, files: {} }
  const encoded = encoderOf(complete).rows(undefined, rows, { maxRows: rows.length, partial: false })
  const { probabilities: output } = bindingsOf(complete)
  const graph = await (await createEngine('auto', 1)).load(savedGraph({ folder, manifest: complete }, [output]))
  try {
    const answers = Array.from((await graph.run(toBatch(complete, encoded), [output]))[output]!)
    const width = manifest.tasks.length
    return rows.map((_, row) => answers.slice(row * width, (row + 1) * width))
  } finally {
    await graph.close()
  }
}

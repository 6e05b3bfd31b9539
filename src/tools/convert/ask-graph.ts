import { ModelError } from '../../base/errors.ts'
import type { GraphSource } from '../../model/contracts/engine.ts'
import { createEngine } from '../../model/engines/create.ts'
import { floatsOf } from '../../model/graph/ir/constants.ts'
import { readWhole } from '../../model/graph/lower/read-graph.ts'
import { encoderOf } from '../../model/serving/features/encoder.ts'
import { bindingsOf, toBatch } from '../../model/serving/prediction/bindings.ts'
import { savedGraph } from '../../model/serving/prediction/load-graph.ts'
import type { GoldenRows, Manifest } from '../../schemas/manifest.ts'

/**
 * Asks a saved graph in `folder` for its answers to named rows: [rows][tasks], uncalibrated. Rejects like an engine's
 * `load`, and with INVALID_REQUEST if the rows do not fit the manifest's fields.
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

/** Like `askGraph`; also rejects with UNSUPPORTED_GRAPH where an answer is NaN, and names the weights that are. */
export async function askNumbers(
  source: GraphSource,
  manifest: Omit<Manifest, 'files'>,
  rows: GoldenRows['rows'],
): Promise<number[][]> {
  const answers = await askGraph(source.folder, manifest, rows)
  const row = answers.findIndex((values) => values.some(Number.isNaN))
  if (row < 0) return answers
  const task = manifest.tasks[answers[row]!.findIndex(Number.isNaN)]!.name
  const weights = await weightsWithNaN(source)
  const cause =
    weights.length > 0
      ? `its weights hold NaN: ${listed(weights)}`
      : `none of its weights is NaN, and the row is ${JSON.stringify(rows[row])}`
  throw new NaNAnswer('UNSUPPORTED_GRAPH', `${source.file}: the graph answers NaN for ${task}: ${cause}`)
}

/** An answer is not a number. */
class NaNAnswer extends ModelError {}

export const isNaNAnswer = (error: unknown): boolean => error instanceof NaNAnswer

/** Names and shapes of the weights that hold NaN; none where the graph can't be read as ONNX. */
async function weightsWithNaN(source: GraphSource): Promise<string[]> {
  const graph = await readWhole(source).catch(() => undefined)
  const found = [...(graph?.constants.values() ?? [])].filter((tensor) => floatsOf(tensor)?.some(Number.isNaN))
  return found.map(({ name, dims }) => `${name} [${dims.join(', ')}]`)
}

/** Weights that a message lists. */
const mostListed = 5

function listed(names: string[]): string {
  const more = names.length - mostListed
  return `${names.slice(0, mostListed).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { ModelError, reasonOf } from '../../base/errors.ts'
import type { GraphSource } from '../../model/contracts/engine.ts'
import { drawRow } from '../../model/serving/features/draw.ts'
import { givenColumns, layoutOf } from '../../model/serving/features/layout.ts'
import type { GoldenRows, Manifest } from '../../schemas/manifest.ts'
import { askNumbers, isNaNAnswer } from './ask-graph.ts'
import { differenceOf, placeErrors, readGolden } from './golden.ts'
import type { Scaffold } from './init.ts'
import { readText } from './read-options.ts'

/* Golden rows of a graph that `init` describes; they tell probabilities from logits, too. */

/** Number of golden rows drawn where no file gives them. */
const goldenRows = 16

/** Golden rows drawn at random and answered by the graph. Answers outside 0 … 1 show that its outputs are logits. */
export async function drawGolden(
  { manifest, found, left, unsized, isCertain }: Scaffold,
  source: GraphSource,
): Promise<GoldenRows> {
  const generator = xoroshiro128plus(1)
  const random = () => uniformFloat64(generator)
  let rows = Array.from({ length: goldenRows }, () => drawRow(manifest.features, random))
  let probabilities = await askNumbers(source, manifest, rows).catch(async (cause) => {
    const full = rows.map((row) => withoutEmpty(row, () => drawRow(manifest.features, random)))
    // The mean of no values is NaN.
    const answers = isNaNAnswer(cause) ? await askNumbers(source, manifest, full).catch(() => undefined) : undefined
    if (answers !== undefined) {
      left.push(
        `/features: the graph answers NaN where ${emptyLists(rows).join(' or ')} is empty, which fails requests: train it so that a list without values has an answer, or send at least one`,
      )
      rows = full
      return answers
    }
    if (unsized === undefined) throw cause
    const message = `${source.file} can't be asked with any ids: --features gives ${unsized} (${reasonOf(cause)})`
    throw new ModelError('INVALID_REQUEST', message, { cause })
  })
  let reason = 'the outputs come from no sigmoid or softmax'
  if (probabilities.flat().some((value) => !(value >= 0 && value <= 1))) {
    otherActivation(manifest)
    probabilities = await askNumbers(source, manifest, rows)
    reason = 'some answers lie outside 0 … 1'
  }
  if (manifest.graph.outputs.activation !== undefined)
    found.push(`${reason}, so the outputs are taken as logits (/graph/outputs/activation)`)
  if (!isCertain) left.push('/graph/outputs/activation: whether the outputs are logits')
  left.push('/golden: rows with answers from the program that trained the model (--golden)')
  return { rows, probabilities, tolerance: 1e-5 }
}

type Row = GoldenRows['rows'][number]

const isEmpty = (value: Row[string]) => Array.isArray(value) && value.length === 0

/** A row like this one, drawn again while one of its lists is empty. */
function withoutEmpty(row: Row, draw: () => Row): Row {
  let full = row
  for (let tries = 0; tries < mostDraws && Object.values(full).some(isEmpty); tries++) full = draw()
  return full
}

/** The names of lists that are empty in some row. */
function emptyLists(rows: readonly Row[]): string[] {
  return [
    ...new Set(rows.flatMap((row) => Object.entries(row).flatMap(([name, value]) => (isEmpty(value) ? [name] : [])))),
  ]
}

/** Draws of a row without an empty list. */
const mostDraws = 100

/** Golden rows of a file. Its outputs are probabilities or logits, whichever agree with the file's answers. */
export async function checkGolden(
  manifest: Omit<Manifest, 'files'>,
  source: GraphSource,
  file: string,
  found: string[],
): Promise<GoldenRows> {
  const tasks = manifest.tasks.map(({ name }) => name)
  const firsts = givenColumns(layoutOf(manifest)).map(({ offset }) => offset)
  const golden = readGolden(await readText(file), file, { features: manifest.features, firsts, tasks })
  const ask = () => placeErrors(file, () => askNumbers(source, manifest, golden.rows))
  const difference = differenceOf(golden, await ask(), tasks, 'the graph answers')
  if (difference !== undefined) {
    otherActivation(manifest)
    if (differenceOf(golden, await ask(), tasks, 'the graph answers') !== undefined)
      throw new ModelError(
        'INVALID_REQUEST',
        `${file}: ${difference}: are the features in the order of the graph's columns, and the values of vocabularies in that of training? Are scaling, seeds and out_of_vocabulary those of training?`,
      )
  }
  const what = manifest.graph.outputs.activation === undefined ? 'probabilities' : 'logits'
  found.push(`the outputs are ${what}, according to the golden rows (/graph/outputs/activation)`)
  found.push(`${golden.rows.length} golden rows of ${file}, which the graph answers within ${golden.tolerance}`)
  return golden
}

/** Takes the outputs for logits instead of probabilities, or the other way round. */
function otherActivation(manifest: Omit<Manifest, 'files'>): void {
  const { activation, ...outputs } = manifest.graph.outputs
  manifest.graph = { ...manifest.graph, outputs: activation ? outputs : { ...outputs, activation: 'sigmoid' } }
}

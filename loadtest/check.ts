import { largestDifference } from './competitors/check.ts'
import { type Answer, probabilitiesOf } from './competitors/forms.ts'
import type { Target } from './targets.ts'

/** Differences caused by float32 and its decimal text. */
const tolerance = { forms: 1e-6, engines: 1e-5 }

/**
 * Requests the same rows in all three forms. Throws if a status is not 200, the number of rows is wrong, a value is not
 * a probability, or the forms disagree: a fast wrong answer is a defect and is not timed.
 */
export async function checkForms(
  target: Target,
  bodies: Record<'rows' | 'columns' | 'tensors', string>,
  tasks: string[],
  rows: number,
): Promise<void> {
  const rowTable = table(await ask(target, bodies.rows), tasks, rows)
  const columnTable = table(await ask(target, bodies.columns), tasks, rows)
  const tensorTable = table(await ask(target, bodies.tensors), tasks, rows)
  checkEqual('named rows and columns', rowTable, columnTable, tolerance.forms)
  checkEqual('named rows and tensors', rowTable, tensorTable, tolerance.forms)
}

/** Sends the same rows as tensors to both targets; the other one gives uncalibrated answers. */
export async function checkUncalibrated(
  target: Target,
  other: Target,
  bodies: { ours: string; other: string },
  tasks: string[],
  rows: number,
): Promise<void> {
  const raw = JSON.stringify({ ...JSON.parse(bodies.ours), options: { raw: true } })
  const { predictions } = (await ask(target, raw)) as { predictions: { raw: Record<string, number> }[] }
  const ours = table({ predictions: predictions.map((prediction) => prediction.raw) }, tasks, rows)
  checkEqual(
    `${target.name} and ${other.name}`,
    ours,
    table(await ask(other, bodies.other), tasks, rows),
    tolerance.engines,
  )
}

export async function ask(target: Target, body: string): Promise<unknown> {
  const answer = await fetch(target.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`${target.name} answers ${answer.status}: ${text.slice(0, 500)}`)
  return JSON.parse(text)
}

/** Probabilities [rows, tasks] of an answer, row-major. */
function table(answer: unknown, tasks: string[], rows: number): number[] {
  const cells = probabilitiesOf(answer as Answer, tasks)
  if (cells.length !== rows * tasks.length)
    throw new Error(`the answer has ${cells.length / tasks.length} rows, not ${rows}`)
  for (const cell of cells)
    if (!(typeof cell === 'number' && cell >= 0 && cell <= 1))
      throw new Error(`the answer contains ${cell}, which is not a probability`)
  return cells
}

function checkEqual(what: string, a: number[], b: number[], allowed: number): void {
  const difference = largestDifference(a, b)
  if (difference > allowed) throw new Error(`${what} differ by ${difference}`)
}

import type { InputRows } from './observe-ranges.ts'

/** With fewer rows the 99th percentile means nothing. */
const fewestJudged = 100

/** Why rows can't judge a plan: too few of them differ; undefined if they can. */
export function tooFew(judged: InputRows): string | undefined {
  const rows = countDifferent(judged)
  return rows < fewestJudged ? `at least ${fewestJudged} different rows are needed, there are ${rows}` : undefined
}

function countDifferent({ rows, inputs }: InputRows): number {
  const seen = new Set<string>()
  for (let row = 0; row < rows; row++)
    seen.add(
      Object.values(inputs)
        .map((values) => values.subarray((row * values.length) / rows, ((row + 1) * values.length) / rows).join())
        .join(),
    )
  return seen.size
}

import { candidatesOf, type Form } from './form.ts'
import { type Bin, type Field, type Item, isSeveral, type Reference, type Value, type Values } from './model.ts'

/** A recorded row of a model: `GET /models/{model}/versions/{version}/rows`. */
export interface RecordedRow {
  context: Values
  candidate: Values
}

/** Candidates of a form that is drawn. */
const drawnCandidates = 5

/** Largest bid that is drawn. */
const largestBid = 2

/**
 * Values that nobody typed. `random`: from 0 to 1; `firstKey`: of the candidates, which are others than those before.
 */
export function drawForm(
  fields: readonly Field[],
  rows: readonly RecordedRow[],
  reference: Reference,
  random: () => number,
  firstKey = 1,
): Form {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  const draw = (isWanted: (field: Field) => boolean) => drawValues(fields.filter(isWanted), reference, random)
  const context = rows.length > 0 ? pick(rows).context : draw(({ side }) => side === 'context')
  // Few rows are drawn again; while there are enough, each once.
  let left: RecordedRow[] = []
  const drawRow = () => {
    if (left.length === 0) left = [...rows]
    return left.splice(Math.floor(random() * left.length), 1)[0]!
  }
  const candidates = Array.from({ length: drawnCandidates }, (_, i) => ({
    id: `ad-${i + 1}`,
    bid: Number((largestBid * random()).toFixed(2)),
    ...(rows.length > 0 ? drawRow().candidate : draw(({ side }) => side !== 'context')),
  }))
  return { context, candidates: candidatesOf(candidates, firstKey), moved: [] }
}

/** Whole rows of context and candidate: recorded ones, or drawn where there are fewer than two. The same each time. */
export function rowsOf(
  fields: readonly Field[],
  { rows, reference }: { rows: readonly RecordedRow[]; reference: Reference },
  count: number,
): Values[] {
  if (rows.length > 1) return rows.slice(0, count).map(({ context, candidate }) => ({ ...context, ...candidate }))
  const random = steadyNumbers()
  return Array.from({ length: count }, () => drawValues(fields, reference, random))
}

/** A value for each field. Lists of a sequence are equally long. */
function drawValues(fields: readonly Field[], reference: Reference, random: () => number): Values {
  const lengths = new Map<string, number>()
  return Object.fromEntries(
    fields.map((field) => {
      const { name, list, sequence } = field
      const length =
        list && (lengths.get(sequence ?? '') ?? 1 + Math.floor(Math.min(list.max, longestDrawn) * random()))
      if (length !== undefined && sequence !== undefined) lengths.set(sequence, length)
      return [name, drawValue(field, reference.get(name) ?? [], random, length)]
    }),
  )
}

/** Values of a list that are drawn at most. */
const longestDrawn = 8

/** A value as frequent as in the reference; without one, any that is usual. `length`: of a list. */
export function drawValue(field: Field, bins: readonly Bin[], random: () => number, length = 1): Value {
  if (!isSeveral(field)) return drawItem(field, bins, random)
  const draw = (size: number, one: () => Item) => Array.from({ length: size }, one)
  if (field.length !== undefined) return draw(field.length, () => significant(2 * random() - 1))
  const values = draw(length, () => drawItem(field, bins, random))
  return field.list?.weighted ? { values, weights: draw(length, () => Number(random().toFixed(2))) } : values
}

/** The same of one value of a list. */
export function drawItem(field: Field, bins: readonly Bin[], random: () => number): Item {
  const bin = drawBin(bins, random)
  if (bin?.low !== undefined && bin.high !== undefined && field.type === 'number')
    return significant(bin.low + (bin.high - bin.low) * random())
  if (bin?.value !== undefined) return bin.value
  const [first, last] = rangeOf(field) ?? [0, 1]
  if (field.values !== undefined) return field.values.first[Math.floor(random() * field.values.first.length)] ?? ''
  if (field.type === 'integer') return Math.floor(first + (last + 1 - first) * random())
  if (field.type === 'number') return significant(first + (last - first) * random())
  return `${field.name}-${Math.floor(1000 * random())}`
}

/** Where the values of a field usually are; undefined where that is not known. */
export function rangeOf({ minimum, maximum, usual }: Field): [low: number, high: number] | undefined {
  const [low, high] = usual ?? [minimum, maximum]
  return low === undefined || high === undefined || !(low < high) ? undefined : [low, high]
}

/** The form that a reader finds: the model's example, and candidates like it. The same each time. */
export function firstForm(
  fields: readonly Field[],
  example: { context?: unknown; candidates: unknown[] } | undefined,
  { rows, reference }: { rows: readonly RecordedRow[]; reference: Reference },
): Form {
  const [first] = (example?.candidates ?? []) as Values[]
  // The example is the first of the rows: its like would be the same again.
  const others = rows.filter(({ candidate }) => JSON.stringify(candidate) !== JSON.stringify(first))
  const drawn = drawForm(fields, others, reference, steadyNumbers())
  if (example === undefined) return drawn
  const candidates = drawn.candidates.map(({ values }, i) => ({ ...values, bid: 1, ...(i === 0 ? first : {}) }))
  return { context: (example.context ?? {}) as Values, candidates: candidatesOf(candidates), moved: [] }
}

/** Numbers from 0 to 1 that seem random: a linear congruential generator with the constants of Numerical Recipes. */
function steadyNumbers(): () => number {
  let state = 1
  return () => {
    state = (1_664_525 * state + 1_013_904_223) % 2 ** 32
    return state / 2 ** 32
  }
}

function drawBin(bins: readonly Bin[], random: () => number): Bin | undefined {
  const known = bins.filter(({ value, low }) => value !== undefined || low !== undefined)
  let left = random() * known.reduce((sum, { share }) => sum + share, 0)
  for (const bin of known) {
    left -= bin.share
    if (left < 0) return bin
  }
  return known.at(-1)
}

const significant = (value: number) => Number(value.toPrecision(3))

export interface TensorShape {
  name: string
  dtype: string
  /** Without the dimension of rows. */
  shape: number[]
}

/** Numbers of an example at most: a larger one could not be edited. */
const mostNumbers = 4000

/** Two rows of zeros in the right shape for each input, as JSON; nothing for inputs that are too large to type. */
export function exampleInputs(tensors: readonly TensorShape[]): string {
  const entries = tensors.map(({ name, shape }) => {
    const size = shape.reduce((product, length) => product * length, 1)
    return `  ${JSON.stringify(name)}: ${JSON.stringify(size > mostNumbers ? [] : [zeros(shape), zeros(shape)])}`
  })
  return `{\n${entries.join(',\n')}\n}`
}

function zeros([length, ...rest]: readonly number[]): unknown {
  return length === undefined ? 0 : Array.from({ length }, () => zeros(rest))
}

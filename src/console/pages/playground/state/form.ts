import { type Field, itemsOf, type Task, textOfValue, type Value, type Values, valueAt } from './model.ts'

export interface Candidate {
  /** Names the candidate while it moves in the table; never sent. */
  key: number
  /** Its fields, `id` and `bid`, which no field is called. */
  values: Values
}

/** The form that the reader edits. */
export interface Form {
  context: Values
  candidates: readonly Candidate[]
  /** Fields that are not where their side says: context fields of the candidates, and the other way round. */
  moved: readonly string[]
}

/** The model that answers, and perhaps one of its versions. */
export interface Target {
  model: string
  version?: string | undefined
}

export interface PredictBody {
  model: string
  version?: string
  context?: Values
  candidates: Values[]
  tasks?: string[]
  options?: { gates?: boolean; partial?: boolean; unknown?: boolean; features?: boolean; rank?: { by: string } }
}

/** The fields of the context, and those of the candidates. */
export function placesOf(fields: readonly Field[], moved: readonly string[]) {
  const set = new Set(moved)
  const isContext = ({ name, side }: Field) => (side === 'context') !== set.has(name)
  return { context: fields.filter(isContext), candidates: fields.filter((field) => !isContext(field)) }
}

/** The body of `POST /predict`. */
export function bodyOf({ model, version }: Target, form: Form, options: PredictBody['options'] = {}): PredictBody {
  return {
    model,
    ...(version === undefined ? {} : { version }),
    ...(Object.keys(form.context).length > 0 ? { context: form.context } : {}),
    candidates: form.candidates.map(({ values }) => values),
    ...(Object.keys(options).length > 0 ? { options } : {}),
  }
}

/** Options of the page's own requests. `hasKeys`: tables have features of the model. */
export function optionsFor(tasks: readonly Task[], hasKeys = false): NonNullable<PredictBody['options']> {
  const hasUnknown = tasks.some(({ name }) => name === 'unknown')
  return { partial: true, ...(!hasUnknown && { unknown: true }), ...(hasKeys && { features: true }) }
}

/** The column of ranks: no field has a line break in its name. */
export const rankColumn = '\n#'

export function nextKey(candidates: readonly Candidate[]): number {
  return candidates.reduce((most, { key }) => Math.max(most, key), 0) + 1
}

export function candidatesOf(rows: readonly Values[], from = 1): Candidate[] {
  return rows.map((values, i) => ({ key: from + i, values }))
}

/** The name of a candidate for readers: its id, or its key in a table, `keyName`, or its place. */
export function nameOf({ values }: Candidate, index: number, keyName?: string): string {
  const names = [valueAt(values, 'id'), keyName === undefined ? undefined : valueAt(values, keyName)]
  return textOfValue(names.find((name) => name !== undefined && name !== '')) || `#${index + 1}`
}

/** The same of the candidate in a place, which may be gone. */
export function nameAt(candidates: readonly Candidate[], index: number, keyName?: string): string {
  const candidate = candidates[index]
  return candidate === undefined ? `#${index + 1}` : nameOf(candidate, index, keyName)
}

/** Sorted by a column, ascending or descending; candidates without the value come last. Stable. */
export function sorted(
  candidates: readonly Candidate[],
  read: (candidate: Candidate, index: number) => Value | undefined,
  descending: boolean,
): Candidate[] {
  const sign = descending ? -1 : 1
  return candidates
    .map((candidate, i) => ({ candidate, value: read(candidate, i) }))
    .sort((a, b) => {
      if (a.value === undefined || b.value === undefined)
        return Number(a.value === undefined) - Number(b.value === undefined)
      return sign * compare(a.value, b.value)
    })
    .map(({ candidate }) => candidate)
}

const collator = new Intl.Collator(undefined, { numeric: true })

/** Lists are compared by how many values they have. */
function compare(a: Value, b: Value): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'object' && typeof b === 'object') return itemsOf(a).length - itemsOf(b).length
  return collator.compare(textOfValue(a), textOfValue(b))
}

/** A problem of a request, as the server names it. */
export interface Problem {
  /** RFC 6901, such as `/candidates/3/price`. */
  path: string
  message: string
}

/** Where a problem is shown; undefined where it is about the whole request. */
export type Place =
  | { part: 'context'; field: string }
  | { part: 'candidates'; index: number; field: string | undefined }
  | undefined

const namesOf = (path: string) => path.split('/').map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))

export function placeOf(path: string): Place {
  const [empty, part, first, second] = namesOf(path)
  if (empty !== '' || first === undefined) return undefined
  if (part === 'context') return { part, field: first }
  if (part === 'candidates' && /^\d+$/.test(first)) return { part, index: Number(first), field: second }
  return undefined
}

/** The message, with the place in the list where that has one: `value 3 must be a string`. */
export function messageOf({ path, message }: Problem): string {
  const [, part, ...names] = namesOf(path)
  const within = part === 'context' ? names.slice(1) : part === 'candidates' ? names.slice(2) : []
  const place = within.at(-1)
  if (place === undefined || !/^\d+$/.test(place)) return message
  return `${within[0] === 'weights' ? 'weight' : 'value'} ${Number(place) + 1} ${message}`
}

/** Messages by field of the context, and by candidate and field. A problem of a whole candidate has the field ''. */
export interface ProblemMap {
  context: ReadonlyMap<string, string>
  candidates: ReadonlyMap<number, ReadonlyMap<string, string>>
}

export function mapProblems(problems: readonly Problem[]): ProblemMap {
  const context = new Map<string, string>()
  const candidates = new Map<number, Map<string, string>>()
  for (const problem of problems) {
    const place = placeOf(problem.path)
    const message = messageOf(problem)
    if (place?.part === 'context') add(context, place.field, message)
    else if (place?.part === 'candidates') {
      const fields = candidates.get(place.index) ?? new Map<string, string>()
      candidates.set(place.index, fields)
      add(fields, place.field ?? '', message)
    }
  }
  return { context, candidates }
}

function add(messages: Map<string, string>, field: string, message: string): void {
  const before = messages.get(field)
  messages.set(field, before === undefined ? message : `${before}; ${message}`)
}

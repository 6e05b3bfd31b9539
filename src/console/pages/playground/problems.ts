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

export function placeOf(path: string): Place {
  const [empty, part, first, second] = path.split('/').map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (empty !== '' || first === undefined) return undefined
  if (part === 'context') return { part, field: first }
  if (part === 'candidates' && /^\d+$/.test(first)) return { part, index: Number(first), field: second }
  return undefined
}

/** Messages by field of the context, and by candidate and field. A problem of a whole candidate has the field ''. */
export interface ProblemMap {
  context: ReadonlyMap<string, string>
  candidates: ReadonlyMap<number, ReadonlyMap<string, string>>
}

export function mapProblems(problems: readonly Problem[]): ProblemMap {
  const context = new Map<string, string>()
  const candidates = new Map<number, Map<string, string>>()
  for (const { path, message } of problems) {
    const place = placeOf(path)
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

/** A row that a model refuses. */
export class RowError extends Error {
  /** Index among the rows of the call. */
  readonly row: number

  constructor(row: number, message: string) {
    super(message)
    this.row = row
  }
}

/**
 * The first problem of a row among a refused request's; undefined if there is none. `/candidates/price/17` is row 17,
 * `/candidates/tags/17/2` the third value of its list.
 */
export function rowErrorOf(problems: readonly { path: string; message: string }[]): RowError | undefined {
  for (const { path, message } of problems) {
    const [, form, field, row, ...place] = path.split('/')
    if (form !== 'candidates' || row === undefined || !/^\d+$/.test(row)) continue
    const inside = place[0] === 'weights' ? ` weight ${place[1]}` : place.length > 0 ? `[${place.at(-1)}]` : ''
    return new RowError(Number(row), `${unescaped(field!)}${inside} ${message}`)
  }
  return undefined
}

/** Undoes the escapes of a JSON pointer. */
export const unescaped = (token: string) => token.replaceAll('~1', '/').replaceAll('~0', '~')

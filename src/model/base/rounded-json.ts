/** A number with at most `digits` significant digits; integers stay. */
export const rounded = (value: number, digits: number): number =>
  Number.isInteger(value) ? value : Number(value.toPrecision(digits))

/** For `JSON.stringify`: rounds all numbers so. */
export function roundedTo(digits: number): (key: string, value: unknown) => unknown {
  return (_key, value) => (typeof value === 'number' ? rounded(value, digits) : value)
}

/** For `JSON.stringify`: writes numbers with at most `digits` significant digits; integers stay. */
export function roundedTo(digits: number): (key: string, value: unknown) => unknown {
  return (_key, value) =>
    typeof value !== 'number' || Number.isInteger(value) ? value : Number(value.toPrecision(digits))
}

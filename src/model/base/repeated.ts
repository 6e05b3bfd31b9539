/** Indices of names that occur earlier in the list; in one pass, since there may be hundreds of thousands. */
export function repeatedIndexes(names: readonly string[]): number[] {
  const seen = new Set<string>()
  return names.flatMap((name, i) => {
    if (seen.has(name)) return [i]
    seen.add(name)
    return []
  })
}

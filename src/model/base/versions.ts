/** Ascending numeric order of versions: positive integers without leading zeros. */
export function compareVersions(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}

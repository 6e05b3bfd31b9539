/** Names considered, and characters per name: both bound the work when the wrong name comes from a client. */
const MAX_NAMES = 500
const MAX_LENGTH = 64

/**
 * The known name that `wrong` was probably meant to be, or undefined when none is close: at most one edit for every
 * three characters, three in all. Case and separators (`userId`, `user-id`, `user_id`) make no difference; of equally
 * close names the first is returned.
 */
export function closestName(wrong: string, known: Iterable<string>): string | undefined {
  if (wrong.length > MAX_LENGTH) return undefined
  const meant = normalise(wrong)
  let closest: string | undefined
  let limit = 3
  let considered = 0
  for (const name of known) {
    if (considered++ === MAX_NAMES) break
    if (name.length > MAX_LENGTH) continue
    const candidate = normalise(name)
    const allowed = Math.min(limit, Math.floor(Math.max(meant.length, candidate.length) / 3))
    const distance = editDistance(meant, candidate, allowed)
    if (distance > allowed) continue
    if (distance === 0) return name
    closest = name
    limit = distance - 1
  }
  return closest
}

/** `; did you mean b?`, to end a message about a wrong name; empty where no known name is close. */
export function didYouMean(wrong: string, known: Iterable<string>): string {
  const meant = closestName(wrong, known)
  return meant === undefined ? '' : `; did you mean ${meant}?`
}

function normalise(name: string): string {
  return name.toLowerCase().replace(/[\s_-]+/g, '')
}

/**
 * Damerau–Levenshtein distance (optimal string alignment: insert, delete, replace, swap neighbours), or `limit + 1`
 * when it is larger than `limit`: only the cells within `limit` of the diagonal are computed.
 */
function editDistance(a: string, b: string, limit: number): number {
  const beyond = limit + 1
  if (Math.abs(a.length - b.length) > limit) return beyond
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = new Array<number>(b.length + 1).fill(beyond)
    current[0] = row
    let least = row
    for (let column = Math.max(1, row - limit); column <= Math.min(b.length, row + limit); column++) {
      const same = a[row - 1] === b[column - 1]
      let distance = Math.min(last[column]! + 1, current[column - 1]! + 1, last[column - 1]! + (same ? 0 : 1))
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) distance = Math.min(distance, beforeLast[column - 2]! + 1)
      current[column] = distance
      least = Math.min(least, distance)
    }
    // A swap reaches back two rows, so a single row beyond the limit doesn't settle it.
    if (least > beyond) return beyond
    beforeLast = last
    last = current
  }
  return Math.min(last[b.length]!, beyond)
}

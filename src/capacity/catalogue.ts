/** Zipf exponent of the popularity of candidates, typical of traffic on ads and pages; the load test's too. */
export const popularity = 1.05

/** The number of most popular candidates, out of `catalogue`, that this share of the requests' candidates are. */
export function zipfShare(catalogue: number, share: number): number {
  let total = 0
  for (let rank = 1; rank <= catalogue; rank++) total += rank ** -popularity
  let sum = 0
  for (let rank = 1; rank <= catalogue; rank++) {
    sum += rank ** -popularity
    if (sum >= share * total) return rank
  }
  return catalogue
}

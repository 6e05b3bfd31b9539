import { createDraw, type Random, zipf } from '../src/tools/data/random.ts'

/** Ads that candidates are drawn from; popularity follows Zipf's law with this exponent. */
export interface Catalogue {
  ads: number
  exponent: number
}

/** The exponent is typical of traffic on ads and pages. */
export const usualCatalogue: Catalogue = { ads: 5000, exponent: 1.05 }

/** Draws the candidates of a query: new ones, or different ones of a catalogue, whose ads are drawn once. */
export function createCandidates<T>(
  catalogue: Catalogue | 'new',
  random: Random,
  draw: (ad: number) => T,
): (rows: number) => T[] {
  if (catalogue === 'new') return (rows) => Array.from({ length: rows }, (_, ad) => draw(ad))
  const { ads, exponent } = catalogue
  const all = Array.from({ length: ads }, (_, ad) => draw(ad))
  const drawAd = createDraw(zipf(ads, exponent))
  return (rows) => {
    const chosen = new Set<number>()
    while (chosen.size < Math.min(rows, ads)) chosen.add(drawAd(random))
    return Array.from(chosen, (ad) => all[ad]!)
  }
}

import { scatter } from '../../src/base/hash.ts'

/*
 * Ads with 20 features that are made up, each from the ad's number alone: so files of any size are written without
 * rows in memory, and what is read can be compared.
 */

export type AdValue = string | number | string[] | null

export type AdColumn = { name: string } & (
  | { kind: 'string'; at(ad: number): string }
  | { kind: 'number'; at(ad: number): number | null }
  | { kind: 'list'; at(ad: number): string[] }
)

/** The name of the column of keys. */
export const keyName = 'ad_id'
/** Between the values of a list, in CSV. */
export const listSeparator = '|'

/** The key of an ad: neighbours in the file are none by their keys. */
export const keyOf = (ad: number): string => `ad-${scatter(ad).toString(36)}`

/** Uniform over [0, 1), by ad and column. */
const uniform = (ad: number, salt: number): number => scatter(scatter(ad + 1) ^ Math.imul(salt, 0x9e3779b1)) / 2 ** 32

const cubed = (share: number): number => share * share * share

/** Different strings per column of categories; low numbers are frequent. */
const categories: Record<string, number> = {
  channel: 3,
  format: 12,
  country: 60,
  language: 200,
  category: 1000,
  brand: 8000,
  campaign: 30_000,
  advertiser: 100_000,
}

/** Columns of decimal numbers: the digits after the point, and the least and the largest value. */
const decimals: Record<string, [digits: number, least: number, largest: number]> = {
  price: [2, 0, 500],
  bid: [3, 0, 9],
  budget: [1, 0, 20_000],
  ctr: [6, 0, 0.2],
  cvr: [6, 0, 0.1],
  quality: [4, 0, 1],
  latitude: [5, -90, 90],
  margin: [3, -1, 1],
}

/** Largest values of columns of integers, from 0. */
const integers: Record<string, number> = { impressions: 5_000_000, age_days: 2000, pictures: 30 }

/** Different tags, and most of them for an ad. */
const tags = { different: 2000, most: 4 }
/** Share of ads without a price. */
const withoutPrice = 0.02

/** The 20 columns beside the key. */
export const adColumns: readonly AdColumn[] = [
  ...Object.entries(categories).map(([name, different], i): AdColumn => {
    const values = Array.from({ length: different }, (_, value) => `${name}-${value}`)
    return { name, kind: 'string', at: (ad) => values[Math.floor(different * cubed(uniform(ad, i)))]! }
  }),
  ...Object.entries(decimals).map(([name, [digits, least, largest]], i): AdColumn => {
    const scale = 10 ** digits
    return {
      ...{ name, kind: 'number' },
      at(ad) {
        const share = uniform(ad, 100 + i)
        if (name === 'price' && share < withoutPrice) return null
        return Math.round((least + share * (largest - least)) * scale) / scale
      },
    }
  }),
  ...Object.entries(integers).map(
    ([name, largest], i): AdColumn => ({
      ...{ name, kind: 'number' },
      at: (ad) => Math.floor(largest * cubed(uniform(ad, 200 + i))),
    }),
  ),
  {
    ...{ name: 'tags', kind: 'list' },
    at: (ad) =>
      Array.from(
        { length: Math.floor((tags.most + 1) * uniform(ad, 300)) },
        (_, i) => `tag-${Math.floor(tags.different * cubed(uniform(ad, 301 + i)))}`,
      ),
  },
]

/** The features of an ad, as an object of a program. */
export function adOf(ad: number): Record<string, AdValue> {
  return Object.fromEntries(adColumns.map(({ name, at }) => [name, at(ad)]))
}

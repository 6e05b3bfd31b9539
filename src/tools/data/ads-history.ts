import type { AdsHistoryData } from '../../schemas/rows-spec.ts'
import { countries } from './ads-funnel-world.ts'
import { createHistoryWorld, devices, type HistoryImpression, tags } from './ads-history-world.ts'
import { createImpressions, type Outcome } from './impressions.ts'
import type { Random } from './random.ts'
import type { Column, RowCell, Source } from './source.ts'

/** Share of impressions in which the country or the device is missing. */
const unrecorded = 0.02

export const adsHistoryColumns: Column[] = [
  ...['country', 'segment', 'device', 'user'].map((name) => ({ name, type: 'string' as const })),
  { name: 'hour', type: 'double' },
  { name: 'history', type: 'list' },
  { name: 'history_age', type: 'list' },
  { name: 'campaign', type: 'string' },
  { name: 'tags', type: 'list' },
  { name: 'image', type: 'list' },
  ...['price', 'click', 'conversion', 'p_click', 'p_conversion'].map((name) => ({ name, type: 'double' as const })),
]

/**
 * Ad impressions to users who have clicked before, whose true P(click) and P(conversion | click) are known. The clicks
 * before are in `history`, the latest last, and how many hours ago each was in `history_age`.
 */
export function createAdsHistory(options: AdsHistoryData): Source {
  return createImpressions({ columns: adsHistoryColumns, createWorld: createHistoryWorld, toCells }, options)
}

function toCells(impression: HistoryImpression, outcome: Outcome, random: Random): RowCell[] {
  const recorded = <T>(value: T) => (random.uniform() < unrecorded ? null : value)
  return [
    recorded(countries[impression.country]!),
    `s${impression.segment}`,
    recorded(devices[impression.device]!),
    `u${impression.user}`,
    impression.hour,
    impression.history.campaigns.map(nameOf),
    impression.history.ages,
    nameOf(impression.campaign),
    impression.tags.map((tag) => tags[tag]!),
    impression.image,
    impression.price,
    outcome.click,
    outcome.conversion,
    outcome.pClick,
    outcome.pConversion,
  ]
}

const nameOf = (campaign: number) => `c${campaign}`

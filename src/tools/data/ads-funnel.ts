import type { AdsFunnelData } from '../../schemas/rows-spec.ts'
import { createWorld, devices, formats, type Impression } from './ads-funnel-world.ts'
import { createImpressions, type Outcome } from './impressions.ts'
import type { Random } from './random.ts'
import type { Cell, Column, Source } from './source.ts'

/** Share of impressions in which one of the less important values is missing. */
const unrecorded = 0.02

export const adsFunnelColumns: Column[] = [
  ...['country', 'device', 'segment', 'user', 'campaign', 'advertiser', 'category', 'format'].map((name) => ({
    name,
    type: 'string' as const,
  })),
  ...[
    'hour',
    'weekday',
    'session_depth',
    'price',
    'quality',
    'age_days',
    'views',
    'click',
    'conversion',
    'p_click',
    'p_conversion',
  ].map((name) => ({ name, type: 'double' as const })),
]

/** Ad impressions whose true P(click) and P(conversion | click) are known. */
export function createAdsFunnel(options: AdsFunnelData): Source {
  const { relation } = options
  const columns = adsFunnelColumns
  return createImpressions({ columns, createWorld: (random) => createWorld(random, relation), toCells }, options)
}

function toCells(impression: Impression, outcome: Outcome, random: Random): Cell[] {
  const recorded = <T>(value: T) => (random.uniform() < unrecorded ? null : value)
  return [
    impression.country,
    recorded(devices[impression.device]!),
    `s${impression.segment}`,
    recorded(`u${impression.user}`),
    `c${impression.campaign}`,
    recorded(`a${impression.advertiser}`),
    recorded(`k${impression.category}`),
    recorded(formats[impression.format]!),
    impression.hour,
    recorded(impression.weekday),
    recorded(impression.depth),
    impression.price,
    recorded(impression.quality),
    recorded(impression.age),
    recorded(impression.views),
    outcome.click,
    outcome.conversion,
    outcome.pClick,
    outcome.pConversion,
  ]
}

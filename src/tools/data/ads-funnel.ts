import { sigmoid } from '../../model/serving/calibration/calibrator.ts'
import type { AdsFunnelData } from '../../schemas/rows-spec.ts'
import { createWorld, devices, formats, type Impression, type World } from './ads-funnel-world.ts'
import { createRandom, type Random } from './random.ts'
import type { Cell, Column, Source } from './source.ts'

/** Share of impressions in which one of the less important values is missing. */
const unrecorded = 0.02

/** Impressions for which b₀ and b₁ are solved. */
const probeRows = 20_000

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

/**
 * Ad impressions whose true P(click) and P(conversion | click) are known. The same options give the same rows, bit for
 * bit.
 */
export function createAdsFunnel(options: AdsFunnelData): Source {
  let read = 0
  return {
    columns: adsFunnelColumns,
    place: (index) => `row ${index + 1}`,
    progress: () => read / options.rows,
    *rows() {
      const world = createWorld(createRandom(options.seed), options.relation)
      const bias = solveBias(world, createRandom(options.seed + 1), options)
      const random = createRandom(options.seed + 2)
      for (let skipped = 0; skipped < options.skip; skipped++) toCells(world.impression(random), bias, random)
      for (; read < options.rows; read++) yield toCells(world.impression(random), bias, random)
    },
  }
}

interface Bias {
  click: number
  conversion: number
}

/** Finds the biases that give a sample of impressions the wanted mean probabilities. */
function solveBias(world: World, random: Random, options: AdsFunnelData): Bias {
  const sample = Array.from({ length: probeRows }, () => world.impression(random))
  const clicks = Float64Array.from(sample, ({ click }) => click)
  const conversions = Float64Array.from(sample, ({ conversion }) => conversion)
  const click = bisect((bias) => meanProbability(clicks, bias) - options.click_rate)
  const clicked = clicks.map((logit) => sigmoid(logit + click))
  const conversion = bisect((bias) => meanProbability(conversions, bias, clicked) - options.conversion_rate)
  return { click, conversion }
}

function toCells(impression: Impression, bias: Bias, random: Random): Cell[] {
  const pClick = sigmoid(impression.click + bias.click)
  const pConversion = sigmoid(impression.conversion + bias.conversion)
  const click = random.uniform() < pClick
  const conversion = random.uniform() < pConversion && click
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
    click ? 1 : 0,
    conversion ? 1 : 0,
    pClick,
    pConversion,
  ]
}

/** The zero of the increasing function `f` between −30 and 30. */
function bisect(f: (x: number) => number): number {
  let low = -30
  let high = 30
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2
    if (f(middle) < 0) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** Mean of `sigmoid(logit + bias)`, each weighted with `weights`; default: with 1. */
function meanProbability(logits: Float64Array, bias: number, weights?: Float64Array): number {
  let sum = 0
  let total = 0
  for (let i = 0; i < logits.length; i++) {
    const weight = weights === undefined ? 1 : weights[i]!
    sum += sigmoid(logits[i]! + bias) * weight
    total += weight
  }
  return sum / total
}

import { sigmoid } from '../model/calibration/calibrator.ts'
import type { AdsFunnelData } from '../schemas/train-spec.ts'
import { createDraw, createRandom, type Random, zipf } from './random.ts'
import type { Cell, Column, Source } from './source.ts'

/*
 * Ad impressions whose true P(click) and P(conversion | click) are known.
 *
 *   logit P(click)      = b₀ + taste(segment, user) · appeal(campaign) + device × format + hour × format
 *                         + quality − ln(1 + views), softened for those who like the ad
 *   logit P(conversion) = b₁ + taste'(segment, user) · appeal(campaign) − price against the country's income
 *                         + device + the click's taste
 *
 * taste' = relation · taste + √(1 − relation²) · another taste, so `relation` is the correlation of the two.
 * Products of user and ad make it non-linear; b₀ and b₁ are solved for the wanted mean rates.
 */

const countries = 'US IN BR DE GB FR JP MX ID IT ES CA KR TR PL NL AU AR SE CH BE AT PT DK'.split(' ')
const devices = ['phone', 'desktop', 'tablet', 'tv'] as const
const formats = ['banner', 'native', 'video', 'interstitial'] as const

/** Numbers of distinct things, chosen so that popular ones are seen often and rare ones hardly. */
const sizes = { segments: 40, users: 6000, advertisers: 60, campaigns: 300, categories: 12, taste: 3 }

/** Share of impressions where a value of less importance wasn't recorded. */
const unrecorded = 0.02

/** Impressions that b₀ and b₁ are solved on. */
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

/** Rows depend on the options alone: the same ones give the same rows, bit for bit. */
export function createAdsFunnel(options: AdsFunnelData): Source {
  return {
    columns: adsFunnelColumns,
    place: (index) => `row ${index + 1}`,
    *rows() {
      const world = createWorld(createRandom(options.seed), options.relation)
      const bias = solveBias(world, createRandom(options.seed + 1), options)
      const random = createRandom(options.seed + 2)
      for (let row = 0; row < options.rows; row++) yield toCells(world.impression(random), bias, random)
    },
  }
}

interface Impression {
  country: string
  device: number
  segment: number
  user: number
  campaign: number
  advertiser: number
  category: number
  format: number
  hour: number
  weekday: number
  depth: number
  price: number
  quality: number
  age: number
  views: number
  /** Logits without their bias. */
  click: number
  conversion: number
}

interface Bias {
  click: number
  conversion: number
}

function createWorld(random: Random, relation: number): { impression(random: Random): Impression } {
  const vector = (scale: number) => Array.from({ length: sizes.taste }, () => scale * random.normal())
  const list = <T>(length: number, make: () => T) => Array.from({ length }, make)

  const tastes = list(sizes.segments, () => vector(0.75))
  const others = list(sizes.segments, () => vector(0.75))
  const related = tastes.map((taste, index) =>
    taste.map((x, k) => relation * x + Math.sqrt(1 - relation ** 2) * others[index]![k]!),
  )
  const drawCountry = createDraw(zipf(countries.length, 0.8))
  const drawSegment = createDraw(zipf(sizes.segments, 0.4))
  const drawDevice = createDraw([0.6, 0.25, 0.1, 0.05])
  const income = list(countries.length, () => 0.5 * random.normal())
  const users = list(sizes.users, () => ({
    country: drawCountry(random),
    segment: drawSegment(random),
    device: drawDevice(random),
    taste: vector(0.15),
  }))

  const categories = list(sizes.categories, () => vector(0.6))
  const drawCategory = createDraw(zipf(sizes.categories, 0.5))
  const advertisers = list(sizes.advertisers, () => ({ category: drawCategory(random), appeal: vector(0.15) }))
  const drawFormat = createDraw([0.5, 0.25, 0.15, 0.1])
  const campaigns = list(sizes.campaigns, () => {
    const advertiser = random.integer(sizes.advertisers)
    const { category, appeal } = advertisers[advertiser]!
    const own = vector(0.1)
    return {
      advertiser,
      category,
      format: drawFormat(random),
      popularity: 0.6 * random.normal(),
      logPrice: 0.8 * random.normal(),
      quality: random.uniform(),
      appeal: own.map((x, k) => x + appeal[k]! + categories[category]![k]!),
    }
  })
  const deviceFormat = list(devices.length * formats.length, () => 0.45 * random.normal())
  const hourOfFormat = list(formats.length, () => 24 * random.uniform())
  const convertsOn = [-0.2, 0.4, 0.1, -0.6]

  const drawUser = createDraw(zipf(sizes.users, 0.6))
  const drawCampaign = createDraw(zipf(sizes.campaigns, 0.7))
  // Few impressions at night, most in the evening.
  const drawHour = createDraw(Array.from({ length: 24 }, (_, hour) => 1.2 + Math.cos((2 * Math.PI * (hour - 20)) / 24)))

  return {
    impression(random) {
      const user = drawUser(random)
      const { country, segment, device, taste } = users[user]!
      const campaign = drawCampaign(random)
      const { advertiser, category, format: usual, popularity, logPrice, quality: base, appeal } = campaigns[campaign]!
      const format = random.uniform() < 0.85 ? usual : drawFormat(random)
      const hour = drawHour(random)
      const weekday = random.integer(7)
      const depth = Math.floor(-6 * Math.log(1 - random.uniform()))
      const price = round(Math.exp(logPrice + 0.25 * random.normal()), 2)
      const quality = round(Math.min(1, Math.max(0, base + 0.1 * random.normal())), 3)
      const age = Math.floor(-30 * Math.log(1 - random.uniform()))

      const likes = dot(tastes[segment]!, appeal) + dot(taste, appeal)
      const buys = dot(related[segment]!, appeal) + dot(taste, appeal)
      // Who likes a campaign has been shown it more often.
      const views = Math.floor(-(1 + sigmoid(likes) * 3) * Math.log(1 - random.uniform()))
      const tired = Math.log1p(views) * (likes > 0 ? 0.25 : 0.6)
      const timing = 0.35 * Math.cos((2 * Math.PI * (hour - hourOfFormat[format]!)) / 24)
      const click =
        likes +
        popularity +
        deviceFormat[device * formats.length + format]! +
        timing +
        1.2 * quality -
        tired -
        0.1 * Math.log1p(depth)
      const weekend = weekday >= 5 ? 0.25 : 0
      const conversion =
        1.2 * buys +
        convertsOn[device]! -
        0.7 * Math.max(-2, Math.log(price + 0.01)) +
        income[country]! +
        weekend -
        0.1 * Math.log1p(age)
      return {
        country: countries[country]!,
        device,
        segment,
        user,
        campaign,
        advertiser,
        category,
        format,
        hour,
        weekday,
        depth,
        price,
        quality,
        age,
        views,
        click,
        conversion,
      }
    },
  }
}

/** Biases for which a sample of impressions has the wanted mean probabilities. */
function solveBias(world: { impression(random: Random): Impression }, random: Random, options: AdsFunnelData): Bias {
  const sample = Array.from({ length: probeRows }, () => world.impression(random))
  const click = bisect(
    (bias) =>
      mean(
        sample,
        ({ click }) => sigmoid(click + bias),
        () => 1,
      ) - options.click_rate,
  )
  const clicks = (impression: Impression) => sigmoid(impression.click + click)
  const conversion = bisect(
    (bias) => mean(sample, ({ conversion }) => sigmoid(conversion + bias), clicks) - options.conversion_rate,
  )
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

/** Where the increasing `f` is 0, between −30 and 30. */
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

function mean(
  sample: Impression[],
  value: (impression: Impression) => number,
  weight: (impression: Impression) => number,
): number {
  let sum = 0
  let total = 0
  for (const impression of sample) {
    const w = weight(impression)
    sum += w * value(impression)
    total += w
  }
  return sum / total
}

function dot(a: readonly number[], b: readonly number[]): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

const round = (x: number, digits: number) => Number(x.toFixed(digits))

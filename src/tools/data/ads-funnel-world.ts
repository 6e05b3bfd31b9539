import { sigmoid } from '../../model/serving/calibration/calibrator.ts'
import type { Logits, World } from './impressions.ts'
import { createDraw, dot, list, type Random, round, zipf } from './random.ts'

/*
 * The world of the ads-funnel data:
 *
 *   logit P(click)      = b₀ + taste(segment, user) · appeal(campaign) + device × format + hour × format
 *                         + quality − ln(1 + views), weaker for users who like the ad
 *   logit P(conversion) = b₁ + taste'(segment, user) · appeal(campaign) − price + the country's income
 *                         + device + weekend − age
 *
 * taste' = relation · taste + √(1 − relation²) · another taste, so `relation` is the correlation of the two.
 * Products of user and ad make both non-linear; b₀ and b₁ are solved for the wanted mean rates.
 */

export const countries = 'US IN BR DE GB FR JP MX ID IT ES CA KR TR PL NL AU AR SE CH BE AT PT DK'.split(' ')
export const devices = ['phone', 'desktop', 'tablet', 'tv'] as const
export const formats = ['banner', 'native', 'video', 'interstitial'] as const

/** Numbers of distinct values, such that popular ones are frequent and the others rare. */
const sizes = { segments: 40, users: 6000, advertisers: 60, campaigns: 300, categories: 12, taste: 3 }

export interface Impression extends Logits {
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
}

/** The order of the draws is fixed: another order makes other data. */
export function createWorld(random: Random, relation: number): World<Impression> {
  const users = createUsers(random, relation)
  const campaigns = createCampaigns(random)
  const deviceFormat = list(devices.length * formats.length, () => 0.45 * random.normal())
  const hourOfFormat = list(formats.length, () => 24 * random.uniform())
  const drawUser = createDraw(zipf(sizes.users, 0.6))
  const drawCampaign = createDraw(zipf(sizes.campaigns, 0.7))
  // Few impressions at night, most in the evening.
  const drawHour = createDraw(list(24, (hour) => 1.2 + Math.cos((2 * Math.PI * (hour - 20)) / 24)))

  return {
    impression(random) {
      const user = drawUser(random)
      const { country, segment, device, taste } = users.users[user]!
      const index = drawCampaign(random)
      const campaign = campaigns[index]!
      const format = random.uniform() < 0.85 ? campaign.format : drawFormat(random)
      const hour = drawHour(random)
      const weekday = random.integer(7)
      const depth = Math.floor(-6 * Math.log(1 - random.uniform()))
      const price = round(Math.exp(campaign.logPrice + 0.25 * random.normal()), 2)
      const quality = round(Math.min(1, Math.max(0, campaign.quality + 0.1 * random.normal())), 3)
      const age = Math.floor(-30 * Math.log(1 - random.uniform()))
      const { appeal } = campaign
      const likes = dot(users.clickTastes[segment]!, appeal) + dot(taste, appeal)
      const buys = dot(users.conversionTastes[segment]!, appeal) + dot(taste, appeal)
      // Users who like a campaign have seen it more often.
      const views = Math.floor(-(1 + sigmoid(likes) * 3) * Math.log(1 - random.uniform()))
      const shown = { device, format, hour, weekday, depth, price, quality, age, views }
      return {
        ...shown,
        country: countries[country]!,
        segment,
        user,
        campaign: index,
        advertiser: campaign.advertiser,
        category: campaign.category,
        click: clickLogit(shown, {
          likes,
          popularity: campaign.popularity,
          deviceFormat: deviceFormat[device * formats.length + format]!,
          bestHour: hourOfFormat[format]!,
        }),
        conversion: conversionLogit(shown, { buys, income: users.income[country]! }),
      }
    },
  }
}

/** The properties that an impression shows beside its user and its campaign. */
type Shown = Pick<
  Impression,
  'device' | 'format' | 'hour' | 'weekday' | 'depth' | 'price' | 'quality' | 'age' | 'views'
>

function clickLogit(
  { hour, quality, views, depth }: Shown,
  effects: { likes: number; popularity: number; deviceFormat: number; bestHour: number },
): number {
  const { likes, popularity, deviceFormat, bestHour } = effects
  const tired = Math.log1p(views) * (likes > 0 ? 0.25 : 0.6)
  const timing = 0.35 * Math.cos((2 * Math.PI * (hour - bestHour)) / 24)
  return likes + popularity + deviceFormat + timing + 1.2 * quality - tired - 0.1 * Math.log1p(depth)
}

const conversionOfDevice = [-0.2, 0.4, 0.1, -0.6]

function conversionLogit(
  { device, price, weekday, age }: Shown,
  { buys, income }: { buys: number; income: number },
): number {
  const weekend = weekday >= 5 ? 0.25 : 0
  return (
    1.2 * buys +
    conversionOfDevice[device]! -
    0.7 * Math.max(-2, Math.log(price + 0.01)) +
    income +
    weekend -
    0.1 * Math.log1p(age)
  )
}

const drawFormat = createDraw([0.5, 0.25, 0.15, 0.1])

/** Users, and the tastes of their segments. */
function createUsers(random: Random, relation: number) {
  const clickTastes = list(sizes.segments, () => vector(0.75, random))
  const others = list(sizes.segments, () => vector(0.75, random))
  const conversionTastes = clickTastes.map((taste, index) =>
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
    taste: vector(0.15, random),
  }))
  return { clickTastes, conversionTastes, income, users }
}

function createCampaigns(random: Random) {
  const categories = list(sizes.categories, () => vector(0.6, random))
  const drawCategory = createDraw(zipf(sizes.categories, 0.5))
  const advertisers = list(sizes.advertisers, () => ({ category: drawCategory(random), appeal: vector(0.15, random) }))
  return list(sizes.campaigns, () => {
    const advertiser = random.integer(sizes.advertisers)
    const { category, appeal } = advertisers[advertiser]!
    const own = vector(0.1, random)
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
}

const vector = (scale: number, random: Random) => list(sizes.taste, () => scale * random.normal())

import { countries } from './ads-funnel-world.ts'
import type { Logits, World } from './impressions.ts'
import { createDraw, dot, list, type Random, round, zipf } from './random.ts'

/*
 * The world of the ads-history data. A user has clicked on campaigns before, of the few categories that interest the
 * user now and then; campaigns are alike as far as their appeals point the same way.
 *
 *   logit P(click)      = b₀ + interest(campaign, history) − weariness(campaign, history) + taste(segment) · appeal
 *                         + popularity + tags + looks(image) + the hour, in the category's time of day
 *   logit P(conversion) = b₁ + interest / 2 + return(campaign, history) + taste'(segment) · appeal + tags'
 *                         − price + the country's income + device
 *
 *   interest  = 1.5 · ln(1 + 2 · Σ recency(age, 10 days) · likeness(campaign, clicked)), over the history
 *   weariness = 1.5 · Σ recency(age, 1 day), at most 1.5, over the clicks on the same campaign
 *   return    = 1.2 · Σ recency(age, 5 days), at most 1.2, likewise
 *
 * with recency = 2^(−age / half-life) and likeness = e^(4 (cosine of the appeals − 1)). Nothing but the history says
 * what a user is interested in. The clicks of the rows join no history; b₀ and b₁ are solved for the wanted mean rates.
 */

export const devices = ['phone', 'desktop', 'tablet'] as const

/** One for each category, and then what may be said of any ad. */
const kinds =
  'books camping coffee cosmetics cycling fashion fitness furniture games garden jewellery kitchen music pets phones photography shoes tools toys travel'
const qualities =
  'bestseller eco exclusive free_returns free_shipping gift handmade limited local luxury members new outlet preorder sale seasonal subscription trial used weekend'
export const tags = [kinds, qualities].flatMap((words) => words.split(' '))

/** Numbers of distinct values. */
const sizes = { segments: 12, users: 20_000, campaigns: 400, categories: 20, images: 3, taste: 4, image: 16 }

/** Tenths of hours in which users have clicked before, and of those the last ones, in which impressions are. */
const period = { all: 90 * 240, shown: 30 * 240 }

export interface HistoryImpression extends Logits {
  country: number
  segment: number
  device: number
  user: number
  hour: number
  /** Clicked campaigns, the latest last, and how many hours ago each was clicked. */
  history: { campaigns: number[]; ages: number[] }
  campaign: number
  tags: number[]
  image: readonly number[]
  price: number
}

type Campaign = ReturnType<typeof createCampaigns>[number]

/** The order of the draws is fixed: another order makes other data. */
export function createHistoryWorld(random: Random): World<HistoryImpression> {
  const campaigns = createCampaigns(random)
  const likeness = campaigns.map((a) => campaigns.map((b) => Math.exp(4 * (cosine(a.appeal, b.appeal) - 1))))
  const drawCampaign = createDraw(zipf(sizes.campaigns, 0.6))
  const drawOfCategory = createDraws(campaigns)
  const users = createUsers(random, drawOfCategory)
  const segments = list(sizes.segments, () => ({ clicks: vector(0.3, random), conversions: vector(0.4, random) }))
  const effects = {
    tags: tags.map(() => ({ click: 0.3 * random.normal(), conversion: 0.3 * random.normal() })),
    looks: list(sizes.image, () => 0.15 * random.normal()),
    income: countries.map(() => 0.5 * random.normal()),
  }
  const drawUser = createDraw(zipf(sizes.users, 0.5))
  // Few impressions at night, most in the evening.
  const drawHour = createDraw(list(24, (hour) => 1.2 + Math.cos((2 * Math.PI * (hour - 20)) / 24)))

  return {
    impression(random) {
      const user = drawUser(random)
      const { country, segment, device, interests, clicks } = users[user]!
      const now = period.all - random.integer(period.shown)
      const before = clicks.filter(({ time }) => time < now)
      const history = {
        campaigns: before.map((click) => click.campaign),
        ages: before.map(({ time }) => (now - time) / 10),
      }
      // A third was chosen for what the user likes.
      const chosen = random.uniform() < 0.33
      const index = chosen ? drawOfCategory[drawOne(interests, random)]!(random) : drawCampaign(random)
      const campaign = campaigns[index]!
      const hour = drawHour(random)
      const shown = campaign.tags.filter(() => random.uniform() < 0.9)
      const image = campaign.images[random.integer(sizes.images)]!
      const price = round(Math.exp(campaign.logPrice + 0.25 * random.normal()), 2)
      const { interest, weariness, loyalty } = readHistory(history, index, likeness[index]!)
      const { clicks: taste, conversions: need } = segments[segment]!
      const timing = 0.3 * Math.cos((2 * Math.PI * (hour - campaign.bestHour)) / 24)
      return {
        ...{ country, segment, device, user, hour, history, campaign: index, tags: shown, image, price },
        click:
          interest -
          weariness +
          dot(taste, campaign.appeal) +
          campaign.popularity +
          sumOf(shown, (tag) => effects.tags[tag]!.click) +
          dot(effects.looks, image) +
          timing,
        conversion:
          interest / 2 +
          loyalty +
          dot(need, campaign.appeal) +
          sumOf(shown, (tag) => effects.tags[tag]!.conversion) -
          0.6 * Math.log(price) +
          effects.income[country]! +
          conversionOfDevice[device]!,
      }
    },
  }
}

const conversionOfDevice = [-0.2, 0.4, 0]

/** Interest, weariness and return that a history gives a campaign, `alike` being its likeness to all. */
function readHistory({ campaigns, ages }: HistoryImpression['history'], campaign: number, alike: readonly number[]) {
  let interest = 0
  let weariness = 0
  let loyalty = 0
  campaigns.forEach((clicked, i) => {
    const age = ages[i]!
    interest += 2 ** (-age / 240) * alike[clicked]!
    if (clicked !== campaign) return
    weariness += 2 ** (-age / 24)
    loyalty += 2 ** (-age / 120)
  })
  return {
    interest: 1.5 * Math.log1p(2 * interest),
    weariness: 1.5 * Math.min(1, weariness),
    loyalty: 1.2 * Math.min(1, loyalty),
  }
}

function createCampaigns(random: Random) {
  const categories = list(sizes.categories, () => ({ appeal: vector(1, random), bestHour: 24 * random.uniform() }))
  // How an image shows what it advertises: a row per number.
  const picture = list(sizes.image, () => vector(0.3, random))
  return list(sizes.campaigns, () => {
    const category = random.integer(sizes.categories)
    const { appeal, bestHour } = categories[category]!
    const own = vector(0.35, random)
    const campaign = {
      category,
      bestHour,
      appeal: own.map((x, k) => x + appeal[k]!),
      popularity: 0.4 * random.normal(),
      logPrice: 2.5 + 0.8 * random.normal(),
      tags: createTags(category, random),
    }
    const images = list(sizes.images, () =>
      picture.map((row) => round(dot(row, campaign.appeal) + 0.8 * random.normal(), 3)),
    )
    return { ...campaign, images }
  })
}

/** Most say their category; each also says up to four qualities, each once. */
function createTags(category: number, random: Random): number[] {
  const said = new Set(random.uniform() < 0.9 ? [category] : [])
  for (let left = random.integer(5); left > 0; left--)
    said.add(sizes.categories + random.integer(tags.length - sizes.categories))
  return [...said]
}

/** Per category, a function that draws campaigns that those who like it click. */
function createDraws(campaigns: readonly Campaign[]) {
  const popularity = zipf(sizes.campaigns, 0.3)
  return list(sizes.categories, (category) =>
    createDraw(campaigns.map((campaign, i) => (campaign.category === category ? 1 : 0.003) * popularity[i]!)),
  )
}

/** Users, and what each of them clicked, the latest last. */
function createUsers(random: Random, drawOfCategory: readonly ((random: Random) => number)[]) {
  const drawCountry = createDraw(zipf(countries.length, 0.8))
  const drawDevice = createDraw([0.65, 0.25, 0.1])
  const drawNumber = createDraw([0.5, 0.3, 0.2])
  return list(sizes.users, () => {
    const interests = list(drawNumber(random) + 1, () => random.integer(sizes.categories))
    const number = Math.min(60, Math.floor(-14 * Math.log(1 - random.uniform())))
    const times = list(number, () => random.integer(period.all)).sort((a, b) => a - b)
    return {
      country: drawCountry(random),
      segment: random.integer(sizes.segments),
      device: drawDevice(random),
      interests,
      clicks: times.map((time) => ({ time, campaign: drawOfCategory[drawOne(interests, random)]!(random) })),
    }
  })
}

const drawOne = <T>(values: readonly T[], random: Random): T => values[random.integer(values.length)]!

const vector = (scale: number, random: Random) => list(sizes.taste, () => scale * random.normal())

const cosine = (a: readonly number[], b: readonly number[]) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))

const sumOf = (values: readonly number[], of: (value: number) => number) =>
  values.reduce((sum, value) => sum + of(value), 0)

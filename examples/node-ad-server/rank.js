// Orders ads by what multigate predicts, or without it where its answer would come too late.

const predict = new URL('/predict', process.env.RANKER_URL ?? 'http://127.0.0.1:3000')
/** The most that the ranker may take, however patient the caller is; ms. */
const rankerMs = Number(process.env.RANKER_MS ?? 40)
/** Statuses of a ranker that is overloaded, starting or late: the fallback is all that they ask for. */
const shed = [429, 503, 504]

/**
 * @typedef {object} Ad
 * @property {string} id
 * @property {string} campaign
 * @property {number} price
 * @property {number} bid What a conversion pays.
 * @property {number} conversion_rate Conversions per impression so far.
 */

/**
 * The best `count` ads for a visitor. Never rejects, and takes no longer than until `deadline`, a time of
 * `performance.now()`.
 *
 * @param {Record<string, string | number>} visitor The features of the request's context.
 * @param {Ad[]} ads
 * @param {{ count: number, deadline: number }} options
 */
export async function rank(visitor, ads, { count, deadline }) {
  const remaining = deadline - performance.now()
  if (remaining <= 0) return withoutRanker('TIMEOUT')
  try {
    const response = await fetch(predict, {
      method: 'POST',
      // With a deadline the ranker rejects what it can't answer in time, rather than answering late.
      headers: { 'content-type': 'application/json', 'x-deadline-ms': String(Math.min(remaining, rankerMs)) },
      body: JSON.stringify({
        model: 'ads-funnel',
        context: visitor,
        candidates: ads.map(({ id, campaign, price, bid }) => ({ id, campaign, price, bid })),
        options: { rank: { by: 'ecpm', top_k: count } },
      }),
      // For a ranker, or a network, that says nothing at all.
      signal: AbortSignal.timeout(Math.ceil(remaining)),
    })
    const answer = /** @type {any} */ (await response.json())
    if (response.ok)
      return { ranked_by: 'model', ads: answer.predictions.map((/** @type {{ id: string }} */ { id }) => id) }
    // Others, such as 400, are faults of this program.
    if (!shed.includes(response.status)) console.error(`the ranker: ${answer.code}: ${answer.detail}`)
    return withoutRanker(answer.code)
  } catch (error) {
    return withoutRanker(error instanceof DOMException && error.name === 'TimeoutError' ? 'TIMEOUT' : 'UNREACHABLE')
  }

  /** @param {string} reason */
  function withoutRanker(reason) {
    const best = ads.toSorted((a, b) => b.bid * b.conversion_rate - a.bid * a.conversion_rate).slice(0, count)
    return { ranked_by: 'fallback', reason, ads: best.map(({ id }) => id) }
  }
}

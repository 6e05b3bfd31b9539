import { createDraw, createRandom, type Random, zipf } from '../../src/tools/data/random.ts'
import type { ReferenceModel } from './models.ts'

/** One user and the candidates: encoded, context and candidates side by side. */
export interface Query {
  rows: number
  /** [rows, sparse fields], ids of the shared id space. */
  sparse: Int32Array
  /** [rows, numeric fields]; five decimals. */
  dense: Float64Array
}

/**
 * Origin of candidates. `new`: all are different. `seen`: from a catalogue, by Zipf popularity, so that most were
 * requested earlier; distinct within a query. Every query has a new user.
 */
export type Candidates = 'new' | 'seen'

/** Ads that candidates are drawn from; popularity follows Zipf's law with this exponent. */
export interface Catalogue {
  ads: number
  exponent: number
}

/** The exponent is typical of traffic on ads and pages. */
const seen: Catalogue = { ads: 5000, exponent: 1.05 }
export const catalogueSize = seen.ads

/** Draws queries, seeded. */
export function createQueries(
  { sparse, dense }: ReferenceModel,
  candidates: Candidates | Catalogue,
  seed: number,
): (rows: number) => Query {
  const random = createRandom(seed)
  const part = (side: 'context' | 'candidate') => ({
    sparse: side === 'context' ? [0, sparse.context] : [sparse.context, sparse.fields],
    dense: side === 'context' ? [0, dense.context] : [dense.context, dense.fields],
  })
  const draw = (side: 'context' | 'candidate'): Values => {
    const columns = part(side)
    return {
      ids: range(columns.sparse).map((field) => field * sparse.ids + random.integer(sparse.ids)),
      numbers: range(columns.dense).map(() => Math.round(random.normal() * 1e5) / 1e5),
    }
  }
  const drawCandidates =
    candidates === 'new' ? drawNew : createCatalogue(random, candidates === 'seen' ? seen : candidates)

  function drawNew(rows: number): Values[] {
    return Array.from({ length: rows }, () => draw('candidate'))
  }

  function createCatalogue(random: Random, { ads, exponent }: Catalogue): (rows: number) => Values[] {
    const catalogue = Array.from({ length: ads }, () => draw('candidate'))
    const drawIndex = createDraw(zipf(ads, exponent))
    return (rows) => {
      const chosen = new Set<number>()
      while (chosen.size < rows) chosen.add(drawIndex(random))
      return Array.from(chosen, (index) => catalogue[index]!)
    }
  }

  return (rows) => {
    const context = draw('context')
    const query: Query = {
      rows,
      sparse: new Int32Array(rows * sparse.fields),
      dense: new Float64Array(rows * dense.fields),
    }
    drawCandidates(rows).forEach(({ ids, numbers }, row) => {
      query.sparse.set(context.ids, row * sparse.fields)
      query.sparse.set(ids, row * sparse.fields + sparse.context)
      query.dense.set(context.numbers, row * dense.fields)
      query.dense.set(numbers, row * dense.fields + dense.context)
    })
    return query
  }
}

interface Values {
  ids: number[]
  numbers: number[]
}

function range([start = 0, end = 0]: number[]): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i)
}

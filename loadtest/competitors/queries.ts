import { createRandom, type Random } from '../../src/tools/data/random.ts'
import { type Catalogue, createCandidates, usualCatalogue } from '../candidates.ts'
import { type IdField, idFields, type ModelColumns } from './columns.ts'

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

/** Draws queries, seeded. */
export function createQueries(
  model: ModelColumns,
  candidates: Candidates | Catalogue,
  seed: number,
): (rows: number) => Query {
  const { sparse, dense } = model
  const random = createRandom(seed)
  const fields = idFields(model)
  const draw = (side: 'context' | 'candidate') => ({
    ids: fields.flatMap((field) => (field.side === side ? drawIds(field, sparse.ids, random) : [])),
    numbers: Array.from(
      { length: side === 'context' ? dense.context : dense.fields - dense.context },
      () => Math.round(random.normal() * 1e5) / 1e5,
    ),
  })
  const catalogue = candidates === 'seen' ? usualCatalogue : candidates
  const drawCandidates = createCandidates(catalogue, random, () => draw('candidate'))

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

/** One id, or those of a full list, none of which is padding. */
function drawIds({ firstId, list }: IdField, ids: number, random: Random): number[] {
  if (list === undefined) return [firstId + random.integer(ids)]
  return Array.from({ length: list }, () => firstId + 1 + random.integer(ids - 1))
}

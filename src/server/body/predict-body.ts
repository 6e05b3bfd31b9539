import type { LoadedModel, PendingPrediction, Query } from '../../model/prediction/model.ts'
import { ecpm } from '../../model/prediction/request-plan.ts'
import { askInTerms } from '../request/ask-in-terms.ts'
import { type AskedBy, type BodyBytes, openBody, type Protocol } from './body-format.ts'
import type { LargeBodyReader } from './large-body-reader.ts'
import { smallBody } from './read-json.ts'

/** What a body asks, and whom. */
export interface BodyQuery extends Omit<Query, 'rows'> {
  model: LoadedModel
}

/** Hands a body's rows to the model that `ask` finds for it: in this turn of the event loop, or, where the body is large, later. */
export function predictBody<P extends Protocol>(
  reader: LargeBodyReader,
  protocol: P,
  body: BodyBytes,
  ask: (asked: AskedBy[P]) => BodyQuery,
): PendingPrediction | Promise<PendingPrediction> {
  if (jsonBytes(body) > smallBody) return predictLater(reader, protocol, body, ask)
  const { asked, rowsFor } = openBody[protocol](body)
  const { model, ...query } = ask(asked)
  const { rows, inTermsOf } = rowsFor(model)
  const predict = () => model.predict({ rows, ...query })
  return inTermsOf === undefined ? predict() : askInTerms(inTermsOf, predict)
}

async function predictLater<P extends Protocol>(
  reader: LargeBodyReader,
  protocol: P,
  body: BodyBytes,
  ask: (asked: AskedBy[P]) => BodyQuery,
): Promise<PendingPrediction> {
  const { query, rows } = await reader.read(protocol, body, (asked) => {
    const query = ask(asked)
    const { model, options = {} } = query
    // Reported together with what the thread finds wrong with the rows.
    const found = model.check(query)
    const { maxRequestRows: maxRows } = model.limits
    const { partial = false, unknown = false, rank } = options
    return { ...query, encoding: { maxRows, partial, bids: rank?.by === ecpm, found, unknown } }
  })
  const { model, encoding: _, ...asked } = query
  return model.predict({ rows, ...asked })
}

/** Tensors that follow the JSON part as bytes are read in no time. */
function jsonBytes({ bytes, headerLength }: BodyBytes): number {
  return headerLength === undefined ? bytes.length : Math.min(Number(headerLength) || 0, bytes.length)
}

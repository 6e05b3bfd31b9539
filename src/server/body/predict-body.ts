import type { Violation } from '../../base/errors.ts'
import { inTerms, translated } from '../../model/serving/features/problems.ts'
import type { LoadedModel, PendingPrediction, Query } from '../../model/serving/prediction/loaded-model.ts'
import { ecpm } from '../../model/serving/prediction/request-plan.ts'
import type { BodyBytes, BodyFormat } from './body-format.ts'
import type { LargeBodyReader } from './large-body-reader.ts'
import { isQuick } from './read-json.ts'

/** A body's query and its model. */
export interface BodyQuery extends Omit<Query, 'rows'> {
  model: LoadedModel
}

/**
 * Hands a body's rows to the model that `ask` finds for it: in this turn of the event loop, or, where the body is
 * large, later.
 */
export function predictBody<Asked>(
  reader: LargeBodyReader,
  format: BodyFormat<Asked>,
  body: BodyBytes,
  ask: (asked: Asked) => BodyQuery,
): PendingPrediction | Promise<PendingPrediction> {
  if (!isQuick(body.bytes, jsonBytes(body))) return predictLater(reader, format, body, ask)
  const { asked, rowsFor } = format.open(body)
  // Property by property: a rest pattern would take a microsecond.
  const { model, tasks, options, problems, deadline, begun } = ask(asked)
  const { rows, inTermsOf } = rowsFor(model)
  const query = { rows, tasks, options, problems, deadline, begun }
  return inTermsOf === undefined ? model.predict(query) : askInTerms(inTermsOf, () => model.predict(query))
}

async function predictLater<Asked>(
  reader: LargeBodyReader,
  format: BodyFormat<Asked>,
  body: BodyBytes,
  ask: (asked: Asked) => BodyQuery,
): Promise<PendingPrediction> {
  const { query, rows } = await reader.read(format, body, (asked) => {
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

/** Asks a model; reports the request's problems, while it is read or computed, in a protocol's own terms. */
export function askInTerms(
  inTermsOf: (problem: Violation) => Violation,
  ask: () => PendingPrediction,
): PendingPrediction {
  const pending = inTerms(inTermsOf, ask)
  return {
    ...pending,
    table: pending.table.catch((error) => {
      throw translated(error, inTermsOf)
    }),
  }
}

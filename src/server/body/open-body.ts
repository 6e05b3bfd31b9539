import type { LoadedModel, Query } from '../../model/serving/prediction/loaded-model.ts'
import { ecpm } from '../../model/serving/prediction/request-plan.ts'
import type { BodyBytes, BodyFormat, BodyRows } from './body-format.ts'
import type { LargeBodyReader } from './large-body-reader.ts'
import { isQuick } from './read-json.ts'

/** A body that has been parsed, in the event loop or in the thread for large ones. */
export interface ReadBody<Asked> {
  asked: Asked
  /** Its rows for a model, once. Throws or rejects with INVALID_REQUEST. */
  rowsFor(
    model: LoadedModel,
    question: Pick<Query, 'tasks' | 'options' | 'problems' | 'whole' | 'follower'>,
  ): BodyRows | Promise<BodyRows>
  /** Gives it up; the thread goes on to the next one. Idempotent. */
  close?(): void
}

/** Parses a body: now, or, where it is large, in the thread. Throws or rejects as its format does. */
export function openBody<Asked>(
  reader: LargeBodyReader,
  format: BodyFormat<Asked>,
  body: BodyBytes,
): ReadBody<Asked> | Promise<ReadBody<Asked>> {
  return isQuick(body.bytes, jsonBytes(body)) ? format.open(body) : openLater(reader, format, body)
}

async function openLater<Asked>(
  reader: LargeBodyReader,
  format: BodyFormat<Asked>,
  body: BodyBytes,
): Promise<ReadBody<Asked>> {
  const { asked, encode, close } = await reader.open(format, body)
  return {
    asked,
    close,
    async rowsFor(model, question) {
      const { options = {}, whole = false } = question
      const { partial = false, unknown = false, features = false, rank } = options
      const { maxRequestRows: maxRows, maxListValues: maxValues } = model.limits
      // Reported together with what the thread finds wrong with the rows.
      const found = model.check(question)
      const tables = model.encoder.layout.entities?.handles()
      const bids = rank?.by === ecpm
      const bounds = { maxRows, maxValues, partial, leavesOut: !whole, bids }
      if (tables) question.follower?.reads(tables)
      return { rows: await encode(model, { ...bounds, found, unknown, features, tables }) }
    },
  }
}

/** Tensors that follow the JSON part as bytes are read in no time. */
function jsonBytes({ bytes, headerLength }: BodyBytes): number {
  return headerLength === undefined ? bytes.length : Math.min(Number(headerLength) || 0, bytes.length)
}

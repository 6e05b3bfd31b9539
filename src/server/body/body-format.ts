import type { Violation } from '../../base/errors.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { QueryRows } from '../../model/serving/prediction/query-rows.ts'
import type { JsonBounds } from './read-json.ts'

/** A body that has been parsed: what it asks, and its rows once its model is known. */
export interface OpenBody<Asked> {
  asked: Asked
  /** Throws INVALID_REQUEST. */
  rowsFor(model: RequestModel): BodyRows
}

/** The rows of a body. */
export interface BodyRows {
  rows: QueryRows
  /** A problem of these rows in terms of the body that they came in; undefined where its place is the body's. */
  inTermsOf?: (problem: Violation) => Violation
}

/** The bytes of a body; with the length of their JSON part, where tensors follow it as bytes. */
export interface BodyBytes {
  bytes: Buffer
  headerLength?: string | undefined
}

/** How a protocol reads its request bodies, in the event loop and in the thread that reads large bodies. */
export interface BodyFormat<Asked> {
  /** By which the thread finds it. */
  name: string
  /** Throws INVALID_REQUEST. */
  open(body: BodyBytes, bounds?: JsonBounds): OpenBody<Asked>
}

/** The parts of a model that reading a request needs. */
export type RequestModel = Pick<LoadedModel, 'encoder' | 'tensors' | 'manifestless' | 'limits'>

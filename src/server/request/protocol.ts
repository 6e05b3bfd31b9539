import type { IncomingHttpHeaders } from 'node:http'
import type { PredictionTable } from '../../model/contracts/prediction.ts'
import type { LoadedModel, Query } from '../../model/serving/prediction/loaded-model.ts'
import type { BodyFormat } from '../body/body-format.ts'

/**
 * How a protocol predicts; its routes are made from it. `handle` calls its parts in this order, each once. `Params`:
 * what a path names; `Asked`: what a body asks, without its rows.
 */
export interface Protocol<Params, Asked> {
  /** Reads a body. */
  format: BodyFormat<Asked>
  /** The header with the length of a body's JSON part, where tensors may follow it as bytes. */
  lengthHeader?: string
  /** Which version is asked, and when the answer is of no use any more. */
  target(asked: Asked, params: Params): Target
  /** Why that version can't be asked, as clients of this protocol read it. */
  notFound?(error: unknown, asked: Asked, params: Params): unknown
  /** The question to that version. Throws INVALID_REQUEST. */
  ask(asked: Asked, model: LoadedModel): Question
  /** `id`: of the request. */
  write(table: PredictionTable, asked: Asked, model: LoadedModel, id: string): WrittenResponse
}

/** A protocol whose ordinary requests take the fast path. */
export interface FastProtocol<Params, Asked> extends Protocol<Params, Asked> {
  ordinary: OrdinaryRequests<Params>
}

export interface Target {
  /** Undefined: the default model. */
  model: string | undefined
  version?: string | undefined
  label?: string | undefined
  /** Milliseconds from the arrival; undefined where the body names none. */
  deadlineMs?: number | undefined
}

export type Question = Pick<Query, 'tasks' | 'options' | 'problems' | 'whole'>

/** A response with status 200. */
export interface WrittenResponse {
  /** Names and values in turn, without those that every response has. */
  headers: readonly string[]
  body: Buffer
}

/** A protocol's ordinary requests: those that ask for nothing but a prediction. */
export interface OrdinaryRequests<Params> {
  /** The parameters that a path names; undefined where it is not this protocol's, or is written in another way. */
  match(url: string): Params | undefined
  /** Content types that are read; undefined where a request may have none. */
  types: ReadonlySet<string | undefined>
  /** Whether these headers ask for more. */
  asksMore?(headers: IncomingHttpHeaders): boolean
  /** Problems are answered as `{"error": …}`. */
  problemsAsText: boolean
}

/** A model's or version's name that needs no decoding. */
export const plainName = '[A-Za-z0-9][A-Za-z0-9._-]{0,127}'

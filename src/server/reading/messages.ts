import type { ModelErrorCode, Problem } from '../../model/errors.ts'
import type { EncoderSource } from '../../model/features/encoder.ts'
import type { EncodedRequest, EncodeOptions } from '../../model/features/layout.ts'
import type { ModelTensors } from '../../model/prediction/tensors.ts'
import type { JsonBounds } from '../json/bounds.ts'
import type { Protocol } from './open-body.ts'

/*
 * Between the event loop and the thread that reads large bodies. One body at a time: it is opened, and encoded once the
 * event loop has found its model. Each of the two has one answer.
 */

export type ReaderRequest =
  | { type: 'open'; protocol: Protocol; bytes: Uint8Array; headerLength: string | undefined; bounds: JsonBounds }
  /** A model that bodies are read for. Its vocabularies follow, in pieces. */
  | { type: 'model'; model: number; source: EncoderSource; tensors: ModelTensors; bare: boolean }
  | { type: 'vocabulary'; model: number; field: number; values: string[] }
  | { type: 'forget'; model: number }
  | { type: 'encode'; model: number; options: EncodeOptions }

export type ReaderAnswer =
  | { type: 'opened'; asked: unknown }
  | { type: 'encoded'; encoded: EncodedRequest; unknown: Map<string, number> }
  | { type: 'failed'; failure: Failure }

/** An error that crosses threads; without a code, one that nobody foresaw. */
export interface Failure {
  message: string
  code?: ModelErrorCode
  problems?: Problem[] | undefined
}

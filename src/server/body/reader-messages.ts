import type { ModelErrorCode, Violation } from '../../base/errors.ts'
import type { EncoderSource } from '../../model/serving/features/encoder.ts'
import type { EntityCount } from '../../model/serving/features/entity-counts.ts'
import type { EncodedRequest, EncodeOptions } from '../../model/serving/features/layout.ts'
import type { LoadedModel } from '../../model/serving/prediction/loaded-model.ts'
import type { ModelTensors } from '../../model/serving/prediction/tensors.ts'
import type { TableHandle } from '../../model/serving/tables/table-handles.ts'
import type { JsonBounds } from './read-json.ts'

/*
 * Between the event loop and the thread that reads large bodies. One body at a time: it is opened, and encoded once the
 * event loop has found its model. Each of the two has one answer.
 */

export type ReaderRequest =
  | { type: 'open'; format: string; bytes: Uint8Array; headerLength: string | undefined; bounds: JsonBounds }
  /** A model that bodies are read for. Its vocabularies follow, in pieces. */
  | {
      type: 'model'
      model: number
      source: EncoderSource
      tensors: ModelTensors
      manifestless: boolean
      limits: LoadedModel['limits']
    }
  | { type: 'vocabulary'; model: number; field: number; values: string[] }
  | { type: 'forget'; model: number }
  | { type: 'encode'; model: number; options: ReadOptions }

export interface ReadOptions extends Omit<EncodeOptions, 'allocate' | 'problems' | 'notes' | 'fetched'> {
  /** Problems found before, reported together with those of the rows. */
  found?: readonly Violation[] | undefined
  /** The feature tables that the model reads, by name. */
  tables?: Record<string, TableHandle> | undefined
  /** Say per row which fields have a value that the model doesn't know. */
  unknown: boolean
  /** Say what tables have for the keys of the request. */
  features: boolean
}

export type ReaderAnswer =
  | { type: 'opened'; asked: unknown }
  | {
      type: 'encoded'
      encoded: Omit<EncodedRequest, 'placeOf'>
      places: RowPlaces
      unknown: Map<string, number>
      cut: Map<string, number>
      keys: ReadonlyMap<string, EntityCount>
    }
  | { type: 'failed'; failure: Failure }

/** An error that crosses threads; without a code, one that nobody foresaw. */
export interface Failure {
  message: string
  code?: ModelErrorCode
  problems?: Violation[] | undefined
}

/**
 * Places of rows in a body, and of numeric fields where those have places of their own: `row` stands for the row's
 * number.
 */
export interface RowPlaces {
  ofRow: string
  ofFields: Map<string, string>
}

/** A number that no place holds. */
const anyRow = 2 ** 52 + 1

/** `inTermsOf`: a place in terms of the body. */
export function rowPlaces(
  placeOf: EncodedRequest['placeOf'],
  fields: readonly string[],
  inTermsOf: (problem: Violation) => Violation = (problem) => problem,
): RowPlaces {
  const place = (field?: string) => inTermsOf({ path: placeOf(anyRow, field), message: '' }).path
  const ofRow = place()
  return {
    ofRow,
    ofFields: new Map(fields.map((field) => [field, place(field)] as const).filter(([, at]) => at !== ofRow)),
  }
}

export function placesOf({ ofRow, ofFields }: RowPlaces): EncodedRequest['placeOf'] {
  return (row, field) => ((field && ofFields.get(field)) ?? ofRow).replace(String(anyRow), String(row))
}

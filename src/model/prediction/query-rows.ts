import type { Encoder } from '../features/encoder.ts'
import type { EncodedRequest, EncodeOptions } from '../features/layout.ts'
import { encodeInputs, type InputTensor } from './tensors.ts'

/** Rows in one of the four forms of a request, values unchecked. */
export type QueryRows =
  | { form: 'rows'; context: unknown; candidates: unknown }
  | { form: 'columns'; context: unknown; candidates: unknown }
  | { form: 'tensors'; sparse: unknown; dense: unknown }
  /** By the names of `LoadedModel.tensors`: each nested arrays [rows, …dims] or a NumberMatrix. */
  | { form: 'inputs'; inputs: Record<string, unknown> }

/** As tensors, in whichever form they are. Throws like the encoder. */
export function encodeQuery(
  rows: QueryRows,
  encoder: Encoder,
  inputs: readonly InputTensor[],
  options: EncodeOptions,
): EncodedRequest {
  switch (rows.form) {
    case 'rows':
      return encoder.rows(rows.context, rows.candidates, options)
    case 'columns':
      return encoder.columns(rows.context, rows.candidates, options)
    case 'tensors':
      return encoder.tensors(rows.sparse, rows.dense, options)
    case 'inputs':
      return encodeInputs(encoder, inputs, rows.inputs, options)
  }
}

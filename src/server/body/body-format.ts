import type { Problem } from '../../model/base/errors.ts'
import type { QueryRows } from '../../model/prediction/query-rows.ts'
import type { InferRequest } from '../../schemas/infer.ts'
import { readRows } from '../protocols/open-inference/infer-features.ts'
import { inTermsOf, readBody } from '../protocols/open-inference/infer-request.ts'
import { type AddressedQuery, readQuery } from '../protocols/predict/read-query.ts'
import { readServingBody, type ServingBody } from '../protocols/tensorflow-serving/serving-request.ts'
import { servingRows } from '../protocols/tensorflow-serving/serving-rows.ts'
import { defaultBounds, type JsonBounds } from './json-bounds.ts'
import { readJson } from './read-json.ts'
import { readTensors } from './read-tensors.ts'
import type { RequestModel } from './request-model.ts'

/** A body that has been taken apart: what it asks, and its rows once its model is known. */
export interface OpenBody<Asked> {
  asked: Asked
  /** Throws INVALID_REQUEST. `inTermsOf`: a problem of these rows in terms of the body that they came in. */
  rowsFor(model: RequestModel): { rows: QueryRows; inTermsOf?: (problem: Problem) => Problem }
}

/** What a body of each protocol asks, apart from its rows. */
export interface AskedBy {
  predict: Omit<AddressedQuery, 'rows'> & { form: QueryRows['form'] }
  infer: Omit<InferRequest, 'inputs'>
  serving: Pick<ServingBody, 'form' | 'signature'>
}

export type Protocol = keyof AskedBy

/** The bytes of a body; with the length of their JSON part, where tensors follow it as bytes. */
export interface BodyBytes {
  bytes: Buffer
  headerLength?: string | undefined
}

/** Takes a body apart. Throws INVALID_REQUEST. */
export const openBody: {
  [P in Protocol]: (body: BodyBytes, bounds?: JsonBounds) => OpenBody<AskedBy[P]>
} = {
  predict({ bytes }, bounds = defaultBounds) {
    const { rows, ...asked } = readQuery(readTensors(bytes) ?? readJson(bytes, bounds))
    return { asked: { ...asked, form: rows.form }, rowsFor: () => ({ rows }) }
  },
  infer({ bytes, headerLength }, bounds = defaultBounds) {
    const body = readBody(bytes, headerLength, bounds)
    const { inputs: _, ...asked } = body.request
    return { asked, rowsFor: (model) => ({ rows: readRows(body, model), inTermsOf }) }
  },
  serving({ bytes }, bounds = defaultBounds) {
    const body = readServingBody(bytes, bounds)
    const { form, signature } = body
    return { asked: { form, signature }, rowsFor: (model) => servingRows(body, model) }
  },
}

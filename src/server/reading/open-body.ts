import type { Problem } from '../../model/errors.ts'
import type { QueryRows } from '../../model/prediction/query-rows.ts'
import type { InferRequest } from '../../schemas/infer.ts'
import { defaultBounds, type JsonBounds } from '../json/bounds.ts'
import { readJson } from '../json/read-body.ts'
import { readTensors } from '../json/read-tensors.ts'
import { type AddressedQuery, readQuery } from '../read-query.ts'
import { readRows } from '../routes/infer-features.ts'
import { inTermsOf, readBody } from '../routes/infer-request.ts'
import { readServingBody, type ServingBody } from '../routes/serving-request.ts'
import { servingRows } from '../routes/serving-rows.ts'
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

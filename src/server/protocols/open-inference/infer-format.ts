import type { InferRequest } from '../../../schemas/infer.ts'
import type { BodyFormat } from '../../body/body-format.ts'
import { defaultBounds } from '../../body/read-json.ts'
import { readRows } from './infer-features.ts'
import { inTermsOf, readBody } from './infer-request.ts'

/** The request in a body, without its tensors. */
export type InferAsked = Omit<InferRequest, 'inputs'>

export const inferFormat: BodyFormat<InferAsked> = {
  name: 'infer',
  open({ bytes, headerLength }, bounds = defaultBounds) {
    const body = readBody(bytes, headerLength, bounds)
    const { inputs: _, ...asked } = body.request
    return {
      asked,
      rowsFor(model) {
        const rows = readRows(body, model)
        return { rows, inTermsOf: inTermsOf(rows) }
      },
    }
  },
}

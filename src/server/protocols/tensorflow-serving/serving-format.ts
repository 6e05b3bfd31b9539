import type { BodyFormat } from '../../body/body-format.ts'
import { defaultBounds } from '../../body/read-json.ts'
import { readServingBody, type ServingBody, servingRows } from './serving-rows.ts'

/** The request in a body, without its rows. */
export type ServingAsked = Pick<ServingBody, 'form' | 'signature'>

export const servingFormat: BodyFormat<ServingAsked> = {
  name: 'serving',
  open({ bytes }, bounds = defaultBounds) {
    const body = readServingBody(bytes, bounds)
    const { form, signature } = body
    return { asked: { form, signature }, rowsFor: (model) => servingRows(body, model) }
  },
}

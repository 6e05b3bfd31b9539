import type { TSchema } from 'typebox'
import type { Violation } from '../../model/base/errors.ts'
import { suggestNames } from '../../model/base/known-names.ts'
import { pointer } from '../../schemas/json.ts'

interface ObjectSchema {
  properties?: Record<string, ObjectSchema>
  additionalProperties?: unknown
}

/**
 * Adds to the problem of a key that a schema doesn't know which one was probably meant, and which there are; or where the key
 * belongs, if that is one level below.
 */
export function suggestKeys(schema: TSchema): (problem: Violation) => Violation {
  return ({ path, message }) => {
    const segments = path.split('/').slice(1)
    const key = segments.pop()
    const parent = segments.reduce<ObjectSchema | undefined>(
      (part, segment) => part?.properties?.[segment],
      schema as ObjectSchema,
    )
    const { properties, additionalProperties } = parent ?? {}
    if (key === undefined || !properties || additionalProperties !== false || Object.hasOwn(properties, key))
      return { path, message }
    const wrong = key.replaceAll('~1', '/').replaceAll('~0', '~')
    const home = Object.keys(properties).find((name) => Object.hasOwn(properties[name]!.properties ?? {}, wrong))
    if (home !== undefined) {
      const place = [...segments, home].map((segment) => `/${segment}`).join('') + pointer(wrong)
      return { path, message: `${message}; did you mean ${place}?` }
    }
    return { path, message: message + suggestNames(wrong, Object.keys(properties), 'there is') }
  }
}

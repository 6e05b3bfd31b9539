import Type from 'typebox'

/** `<model>/<version>.json`, beside the version: when it takes effect. */
export const Schedule = Type.Object({ activate_at: Type.String() }, { additionalProperties: false })

/** RFC 3339: a date, a time and an offset. */
export const ActivationTime = Type.String({ format: 'date-time', maxLength: 64 })

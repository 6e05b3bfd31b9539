import Type, { type Static } from 'typebox'

export type ProblemItem = Static<typeof ProblemItem>
export const ProblemItem = Type.Object({
  path: Type.String({
    description: 'JSON pointer (RFC 6901) into the request body; `?name` for a query parameter',
    examples: ['/candidates/7/price'],
  }),
  message: Type.String({ examples: ['must be a number'] }),
})

/** Every code that an answer of this server can carry; `docs/errors.md` explains each. */
export type ProblemCode = Static<typeof ProblemCode>
export const ProblemCode = Type.Union(
  [
    Type.Literal('INVALID_REQUEST'),
    Type.Literal('UNAUTHORIZED'),
    Type.Literal('FORBIDDEN'),
    Type.Literal('NOT_FOUND'),
    Type.Literal('MODEL_NOT_FOUND'),
    Type.Literal('VERSION_NOT_FOUND'),
    Type.Literal('METHOD_NOT_ALLOWED'),
    Type.Literal('TOO_MANY_ROWS'),
    Type.Literal('BODY_TOO_LARGE'),
    Type.Literal('UNSUPPORTED_MEDIA_TYPE'),
    Type.Literal('QUEUE_FULL'),
    Type.Literal('RATE_LIMITED'),
    Type.Literal('MODEL_FAILED'),
    Type.Literal('INTERNAL'),
    Type.Literal('NOT_READY'),
    Type.Literal('DRAINING'),
    Type.Literal('DEADLINE_EXCEEDED'),
  ],
  { description: 'What went wrong, for programs' },
)

/** Problem details for HTTP APIs (RFC 9457), `application/problem+json`. */
export type ProblemDetails = Static<typeof ProblemDetails>
export const ProblemDetails = Type.Object(
  {
    type: Type.String({ description: 'A URI reference that names the kind of problem' }),
    title: Type.String({ description: 'The kind of problem, for people' }),
    status: Type.Integer({ description: 'The HTTP status' }),
    code: ProblemCode,
    detail: Type.String({ description: 'What went wrong this time' }),
    request_id: Type.String(),
    stage: Type.Optional(
      Type.Union([Type.Literal('queue'), Type.Literal('compute')], {
        description: 'DEADLINE_EXCEEDED: where the request was',
      }),
    ),
    model: Type.Optional(
      Type.String({
        description: 'INVALID_REQUEST and TOO_MANY_ROWS: the default model, where the request names none',
      }),
    ),
    errors: Type.Optional(
      Type.Array(ProblemItem, { maxItems: 100, description: 'All problems of a body, at most 100' }),
    ),
  },
  { description: 'Problem details (RFC 9457)' },
)

import Type, { type Static } from 'typebox'

/**
 * Part of the API that a key opens: predictions and descriptions of models; `/metrics`; loading, unloading and
 * debugging.
 */
export type Scope = Static<typeof Scope>
export const Scope = Type.Union([Type.Literal('predict'), Type.Literal('metrics'), Type.Literal('admin')])

const rate = (description: string) => Type.Optional(Type.Number({ minimum: 0.001, maximum: 1e9, description }))

const share = (description: string) => Type.Optional(Type.Number({ minimum: 0.001, maximum: 1, description }))

export type KeyEntry = Static<typeof KeyEntry>
export const KeyEntry = Type.Object(
  {
    id: Type.String({ pattern: '^[A-Za-z0-9_.-]{1,64}$', description: 'Names the key in logs and metrics' }),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the key, in hexadecimal' }),
    scopes: Type.Array(Scope, { minItems: 1, maxItems: 3 }),
    models: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 128 }), {
        minItems: 1,
        maxItems: 1000,
        description: 'The models that the key opens; default: all',
      }),
    ),
    created: Type.Optional(Type.String({ maxLength: 40 })),
    expires: Type.Optional(Type.String({ maxLength: 40, description: 'ISO 8601 time from which on it opens nothing' })),
    requests_per_second: rate('Requests per second, over all processes of the service; default: no limit'),
    rows_per_second: rate('Rows per second, over all processes of the service; default: no limit'),
    concurrent_requests: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        description: 'Requests in progress at a time, in each process of the service; default: no limit',
      }),
    ),
    queue_share: share(
      "Largest share of a model's queue: of its rows (MULTIGATE_MAX_QUEUE_ROWS), and of the time until a request's deadline; default: 1",
    ),
    cache_share: share("Largest share of a model's candidate cache; default: 1"),
  },
  { additionalProperties: false },
)

/** The file of keys (`MULTIGATE_KEYS`). It holds no key, only what recognises one. */
export type KeyFile = Static<typeof KeyFile>
export const KeyFile = Type.Object(
  { keys: Type.Array(KeyEntry, { maxItems: 10_000 }) },
  { additionalProperties: false },
)

import Type, { type Static } from 'typebox'
import { ProblemCode } from './problem.ts'

/*
 * `GET /debug/requests`: recorded requests, which have ended.
 */

const stage = (description: string) => Type.Optional(Type.Number({ description: `${description}, ms` }))

/** Why a body was not kept. */
export type BodyMissing = Static<typeof BodyMissing>
export const BodyMissing = Type.Union(
  [
    Type.Literal('empty'),
    Type.Literal('too_large'),
    Type.Literal('too_deep'),
    Type.Literal('not_json'),
    Type.Literal('no_fields'),
    Type.Literal('marked'),
  ],
  {
    description:
      'Why there is no body: it was empty, above 64 KiB, too deep or not JSON; `no_fields`: it reached no model with a manifest; `marked`: the manifest marks fields, and in an invalid request their values may be anywhere',
  },
)

export type RequestRecord = Static<typeof RequestRecord>
export const RequestRecord = Type.Object(
  {
    request_id: Type.Optional(Type.String()),
    trace_id: Type.Optional(Type.String({ description: 'Of its `traceparent`, or its own where traces are on' })),
    ended: Type.Optional(Type.String({ description: 'ISO 8601' })),
    method: Type.String(),
    url: Type.String({ description: 'Without the query' }),
    status: Type.Integer({ description: '499: the client closed the connection before its answer' }),
    code: Type.Optional(ProblemCode),
    detail: Type.Optional(Type.String({ description: 'Of the problem, where it can quote no value of the request' })),
    errors: Type.Optional(
      Type.Array(Type.Object({ path: Type.String(), message: Type.String() }), {
        description:
          'The first problems of an invalid request: `*` stands for a name that neither the model nor the API has, and messages end where they would quote a value',
      }),
    ),
    client: Type.Optional(Type.String({ description: 'The id of its key, or else the address that it came from' })),
    model: Type.Optional(Type.String()),
    version: Type.Optional(Type.String()),
    rows: Type.Optional(Type.Integer()),
    tasks: Type.Optional(Type.Array(Type.String())),
    receive_ms: stage('A part of `read_ms`: from its headers until all of its body has come'),
    read_ms: stage('From its headers until its values are encoded'),
    queue_ms: stage('Until its first rows leave the queue'),
    compute_ms: stage('Until its last rows are computed'),
    write_ms: stage('Until the answer has been sent'),
    total_ms: Type.Number({ description: 'The sum of `read_ms`, `queue_ms`, `compute_ms` and `write_ms`' }),
    body: Type.Optional(Type.Unknown({ description: 'Where bodies are kept' })),
    body_changed: Type.Optional(
      Type.Boolean({ description: 'Fields are missing from the body, or hashes: the manifest marks some' }),
    ),
    body_missing: Type.Optional(BodyMissing),
  },
  { description: 'A request that has ended' },
)

export type RequestLists = Static<typeof RequestLists>
export const RequestLists = Type.Object({
  slow: Type.Array(RequestRecord, { description: 'The slowest of this minute and the last, slowest first' }),
  failed: Type.Array(RequestRecord, { description: 'Those with a status of 400 or more, newest first' }),
  recent: Type.Array(RequestRecord, { description: 'The last ones, newest first' }),
})

export type RecordedLimits = Static<typeof RecordedLimits>
export const RecordedLimits = Type.Object(
  {
    slow: Type.Integer({ description: '`MULTIGATE_SLOW_REQUESTS`' }),
    failed: Type.Integer({ description: 'Most failed requests of each code; 0 where nothing is recorded' }),
    recent: Type.Integer({ description: '`MULTIGATE_RECENT_REQUESTS`' }),
    bodies: Type.Boolean({ description: '`MULTIGATE_SLOW_BODIES`' }),
  },
  { description: 'How many requests are recorded: 0 where a list is not switched on' },
)

export type RecordedRequests = Static<typeof RecordedRequests>
export const RecordedRequests = Type.Object(
  { ...RequestLists.properties, recorded: RecordedLimits },
  { description: 'Recorded requests, without their bodies' },
)

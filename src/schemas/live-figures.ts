import Type, { type Static } from 'typebox'

/*
 * `GET /console/live`: what the console shows of a running service.
 */

const perSecond = (description: string) => Type.Number({ description: `${description}, per second` })
const Rates = (description: string) => Type.Record(Type.String(), Type.Number(), { description })

const moment = 'ms since 1970, by a clock of the server that never jumps'

const Quantiles = Type.Union(
  [
    Type.Object({
      p50: Type.Number(),
      p95: Type.Number(),
      p99: Type.Number(),
    }),
    Type.Null(),
  ],
  {
    description: 'Quantiles in ms, interpolated within the buckets of the histograms; null where nothing was measured',
  },
)

export type LiveStages = Static<typeof LiveStages>
export const LiveStages = Type.Object(
  {
    total: Quantiles,
    encode: Quantiles,
    queue: Quantiles,
    infer: Quantiles,
  },
  { description: 'Durations from arrival to response, and of the stages' },
)

const traffic = {
  requests: perSecond('Prediction requests answered'),
  ok: perSecond('Requests answered with predictions, within their deadlines: the goodput'),
  candidates: perSecond('Rows accepted'),
  failed: Rates('Requests per second that were answered with an error, by its code; `cancelled`: the client went away'),
  shed: Rates('Requests per second that were rejected or dropped under load, by reason'),
}

export type LiveModel = Static<typeof LiveModel>
export const LiveModel = Type.Object(
  {
    model: Type.String(),
    version: Type.String(),
    ...traffic,
    total: Quantiles,
    queue_rows: Type.Integer(),
    wait_ms: Type.Number({ description: 'Predicted wait of a request that arrives now' }),
  },
  { description: 'A version that had requests in the interval' },
)

export type LiveClient = Static<typeof LiveClient>
export const LiveClient = Type.Object(
  {
    client: Type.String({ description: 'The id of its key' }),
    requests: traffic.requests,
    candidates: traffic.candidates,
    failed: perSecond('Requests that were answered with an error, refused ones among them'),
  },
  { description: 'A key that had requests in the interval' },
)

export type LiveProcess = Static<typeof LiveProcess>
export const LiveProcess = Type.Object(
  {
    pid: Type.Integer(),
    resident_bytes: Type.Integer(),
    cores: Type.Number({ description: 'CPU seconds per second' }),
    loop_busy: Type.Number({ description: 'Share of the time that the event loop was busy' }),
    workers: Type.Integer({ description: 'Worker threads that are alive' }),
    workers_replaced: Type.Integer({ description: 'Worker threads that died and were replaced, since the start' }),
    workers_busy: Type.Number({ description: 'Share of the time that the workers were busy' }),
    connections: Type.Integer(),
    saturation: Type.Number(),
    uptime_seconds: Type.Number(),
  },
  { description: 'One process of the service' },
)

export type LiveSample = Static<typeof LiveSample>
export const LiveSample = Type.Object(
  {
    at: Type.Number({ description: `End of the interval, ${moment}` }),
    seconds: Type.Number({ description: 'Length of the interval' }),
    ...traffic,
    stages: LiveStages,
    batches: Type.Object({
      calls: perSecond('Engine calls'),
      rows: Type.Number({ description: 'Mean rows per call; 0 without calls' }),
      requests: Type.Number({ description: 'Mean requests per call; 0 without calls' }),
    }),
    queue_rows: Type.Integer({ description: 'Rows in the queues at the end of the interval' }),
    wait_ms: Type.Number({ description: 'The longest predicted wait of a request that arrives now' }),
    deadline_ms: Type.Number({ description: 'Deadline of requests that name none' }),
    saturation: Type.Number({ description: 'From 0 to 1; at 1 the service refuses requests' }),
    loop_busy: Type.Number({ description: 'Share of the time that the busiest event loop was busy' }),
    workers_busy: Type.Number({ description: 'Share of the time that the workers were busy' }),
    cores: Type.Number({ description: 'CPU seconds per second, of all processes' }),
    resident_bytes: Type.Integer({ description: 'Memory of all processes' }),
    cache: Type.Object({
      hits: perSecond('Candidates found in the cache, in the last five seconds'),
      misses: perSecond('Candidates not found in the cache, in the last five seconds'),
      bytes: Type.Integer(),
    }),
    connections: Type.Integer(),
    prediction_log: Type.Optional(
      Type.Object(
        {
          records: perSecond('Requests recorded'),
          dropped: Rates('Requests per second that were to be recorded and were not, by reason'),
        },
        { description: 'The prediction log; absent where it is off' },
      ),
    ),
  },
  { description: 'The service in one interval, all processes together' },
)

export type LiveEvent = Static<typeof LiveEvent>
export const LiveEvent = Type.Object(
  {
    id: Type.Integer({ description: 'Rises by one; an event that goes on is sent again, with its id' }),
    at: Type.Number({ description: moment }),
    until: Type.Number({ description: 'When it was last seen' }),
    kind: Type.Union(
      [
        Type.Literal('version_serves'),
        Type.Literal('model_unserved'),
        Type.Literal('version_pinned'),
        Type.Literal('version_unpinned'),
        Type.Literal('version_failed'),
        Type.Literal('version_incompatible'),
        Type.Literal('plan_unstored'),
        Type.Literal('table_read'),
        Type.Literal('table_refused'),
        Type.Literal('deltas_applied'),
        Type.Literal('deltas_reverted'),
        Type.Literal('models_missing'),
        Type.Literal('folder_unreadable'),
        Type.Literal('folder_readable'),
        Type.Literal('process_started'),
        Type.Literal('process_ended'),
        Type.Literal('process_silent'),
        Type.Literal('process_answers'),
        Type.Literal('process_stalled'),
        Type.Literal('worker_replaced'),
        Type.Literal('log_lines_dropped'),
        Type.Literal('prediction_log_failing'),
        Type.Literal('prediction_log_writable'),
        Type.Literal('prediction_log_drops'),
        Type.Literal('connections_refused'),
        Type.Literal('requests_shed'),
        Type.Literal('requests_failing'),
        Type.Literal('requests_stopped'),
        Type.Literal('requests_arrive'),
        Type.Literal('clock_jumped'),
      ],
      { description: 'A closed set' },
    ),
    severity: Type.Union([Type.Literal('info'), Type.Literal('warning'), Type.Literal('error')]),
    text: Type.String({ examples: ['Version 2 of ads-funnel answers, after version 1 (by the key ci)'] }),
    model: Type.Optional(Type.String({ description: 'The model that it is about' })),
    by: Type.Optional(
      Type.String({
        description:
          'Who caused it: the id of an API key, or `administrator` (without a key), `command`, `file` or `schedule`',
        examples: ['ci'],
      }),
    ),
    times: Type.Optional(
      Type.Integer({ description: 'How often it happened between the two moments, if more than once' }),
    ),
  },
  { description: 'A change that readers of the figures should know of' },
)

/** The stream's events: `history` first, then one `sample` per second. */
export type LiveHistory = Static<typeof LiveHistory>
export const LiveHistory = Type.Object(
  {
    at: Type.Number({ description: `Now, ${moment}` }),
    clock: Type.Number({ description: "Now, by the server's wall clock, ms since 1970" }),
    events: Type.Array(LiveEvent, { description: 'The last ones, oldest first' }),
    fine: Type.Array(LiveSample, { description: 'Up to five minutes, one sample per second while somebody watches' }),
    coarse: Type.Array(LiveSample, { description: 'The last hour, one sample per ten seconds' }),
  },
  { description: 'Event `history`: the first one' },
)

const VersionProblem = Type.Object({ model: Type.String(), version: Type.String(), reason: Type.String() })

export type LiveUpdate = Static<typeof LiveUpdate>
export const LiveUpdate = Type.Object(
  {
    clock: Type.Number({ description: "Now, by the server's wall clock, ms since 1970" }),
    events: Type.Array(LiveEvent),
    fine: Type.Array(LiveSample),
    coarse: Type.Array(LiveSample),
    models: Type.Array(LiveModel, { description: 'The fifty versions with most requests in the interval' }),
    clients: Type.Array(LiveClient, {
      description: 'The twenty keys with most candidates in the interval; none without keys',
    }),
    processes: Type.Array(LiveProcess),
    silent: Type.Array(Type.Integer(), { description: 'Ids of processes that do not answer' }),
    unstored: Type.Array(VersionProblem, { description: 'Versions whose compiled plan could not be stored, and why' }),
    failed: Type.Array(VersionProblem, {
      description: 'Versions in the folder that failed to load, and why',
    }),
    unreadable: Type.Optional(
      Type.String({ description: 'Why the folder of models can not be read, where that is so' }),
    ),
    unready: Type.Array(Type.String(), { description: 'Why the service is not ready; empty when it is' }),
  },
  { description: 'Event `sample`: samples since the last event, mostly one' },
)

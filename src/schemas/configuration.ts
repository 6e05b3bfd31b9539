import Type, { type Static } from 'typebox'

/*
 * Configuration: environment variables, each also a flag of `multigate serve` (MULTIGATE_MAX_QUEUE_ROWS is
 * --max-queue-rows). Read once, in main.ts.
 */

export type Configuration = Static<typeof Configuration>
export const Configuration = Type.Object({
  MULTIGATE_HOST: Type.String({
    minLength: 1,
    default: '127.0.0.1',
    description: 'Address to listen on; 0.0.0.0 for all',
  }),
  MULTIGATE_PORT: Type.Integer({
    minimum: 0,
    maximum: 65535,
    default: 3000,
    description: 'Port to listen on; 0 takes a free one',
  }),
  MULTIGATE_MODELS: Type.String({
    minLength: 1,
    default: 'models',
    description: 'Folder of models: `<name>/<version>/`, with a manifest.json or a graph alone',
  }),
  MULTIGATE_DEFAULT_MODEL: Type.String({
    default: '',
    description: 'Model of requests that name none; where empty, `ads-funnel`, or the only model there is',
  }),
  MULTIGATE_REQUIRED_MODELS: Type.String({
    default: '',
    description:
      'Models, comma-separated, that `/readyz` waits for; where empty, every model found at start has to have loaded or failed',
  }),
  MULTIGATE_VERSIONS: Type.Union([Type.Literal('latest'), Type.Literal('all')], {
    default: 'latest',
    description: 'Serve the highest good version of each model, or all',
  }),
  MULTIGATE_POLL_SECONDS: Type.Number({
    minimum: 0,
    maximum: 86400,
    default: 10,
    description: 'How often the folder is looked at for new versions, s; 0: only at start',
  }),
  MULTIGATE_WAIT_FOR_MODELS: Type.Boolean({
    default: false,
    description: "Wait for a models folder that doesn't exist or can't be read; else that ends the start",
  }),
  MULTIGATE_UNLOAD_AFTER_SECONDS: Type.Number({
    minimum: 0,
    maximum: 86400,
    default: 300,
    description:
      'How long models go on serving when all of them, or more than half, vanish from the folder between two looks, s; a single one is unloaded with the next look',
  }),
  MULTIGATE_KEEP_PREVIOUS_SECONDS: Type.Number({
    minimum: 0,
    maximum: 86400,
    default: 0,
    description:
      'How long a version that has been replaced stays loaded, so that a roll-back is immediate, s; it takes the memory of a further version',
  }),
  MULTIGATE_ENGINE: Type.Union([Type.Literal('auto'), Type.Literal('onnx'), Type.Literal('tensorflow')], {
    default: 'auto',
    description:
      'What computes: ONNX Runtime, TensorFlow.js (native, else WebAssembly), or the first of these that works',
  }),
  MULTIGATE_CACHE: Type.String({
    default: '',
    description:
      "Folder of compiled plans; where empty, `multigate/plans` in the user's cache folder; `off`: they are compiled at every start",
  }),
  MULTIGATE_CANDIDATE_CACHE_BYTES: Type.Integer({
    minimum: 0,
    maximum: 1_099_511_627_776,
    default: 268_435_456,
    description:
      "Memory for the first layer's parts of candidates seen before, per model version, all workers and processes together, bytes; 0: none is kept",
  }),
  MULTIGATE_PROCESSES: Type.Integer({
    minimum: 1,
    maximum: 256,
    default: 1,
    description: 'Processes that serve on the one port; above 1, a primary process starts and replaces them',
  }),
  MULTIGATE_WORKERS: Type.Integer({
    minimum: 0,
    maximum: 256,
    default: 0,
    description:
      'Worker threads of a process that compute; 0: one per core that is really ours, divided by the processes',
  }),
  MULTIGATE_MAX_BATCH_ROWS: Type.Integer({
    minimum: 1,
    maximum: 65536,
    default: 256,
    description: 'Most rows computed in one call',
  }),
  MULTIGATE_MAX_DELAY_MS: Type.Number({
    minimum: 0,
    maximum: 1000,
    default: 0,
    description: 'How long an idle worker may wait for more rows, ms; 0: not at all',
  }),
  MULTIGATE_MAX_QUEUE_ROWS: Type.Integer({
    minimum: 1,
    maximum: 10_000_000,
    default: 200_000,
    description: 'Most rows queued per model version, in each process',
  }),
  MULTIGATE_MAX_REQUEST_ROWS: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 10_000,
    description: 'Most rows of one request',
  }),
  MULTIGATE_MAX_BODY_BYTES: Type.Integer({
    minimum: 1024,
    maximum: 1_073_741_824,
    default: 4_194_304,
    description: 'Largest request body, also after decompression, bytes',
  }),
  MULTIGATE_MAX_PENDING_BYTES: Type.Integer({
    minimum: 1024,
    maximum: 1_099_511_627_776,
    default: 268_435_456,
    description:
      'Most bytes of request bodies that are being received at once, decompressed, and of answers that clients have yet to read, all processes together; beyond, who holds most is given up',
  }),
  MULTIGATE_MAX_CONNECTIONS: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 10_000,
    description:
      'Most connections that are open at once, all processes together, each an equal share; more are closed as they come',
  }),
  MULTIGATE_DEADLINE_MS: Type.Number({
    exclusiveMinimum: 0,
    maximum: 600_000,
    default: 1000,
    description: 'Deadline of requests that name none, ms',
  }),
  MULTIGATE_WARM_UP_MS: Type.Integer({
    minimum: 0,
    maximum: 60_000,
    default: 2000,
    description:
      'Longest time that a process asks its models by HTTP itself before it is ready, so that its first clients find compiled code, ms: each model for half of what is left when it is loaded; 0: not at all',
  }),
  MULTIGATE_DRAIN_DELAY_MS: Type.Integer({
    minimum: 0,
    maximum: 600_000,
    default: 1000,
    description: 'After SIGTERM: how long to go on answering, not ready, until load balancers have noticed, ms',
  }),
  MULTIGATE_ADMIN: Type.Boolean({
    default: false,
    description: 'Let clients load and unload models on demand (`/v2/repository`)',
  }),
  MULTIGATE_LOG_LEVEL: Type.Union(
    [
      Type.Literal('trace'),
      Type.Literal('debug'),
      Type.Literal('info'),
      Type.Literal('warn'),
      Type.Literal('error'),
      Type.Literal('fatal'),
      Type.Literal('silent'),
    ],
    { default: 'info', description: 'Least level that is logged' },
  ),
  MULTIGATE_LOG_FORMAT: Type.Union([Type.Literal('pino'), Type.Literal('iso')], {
    default: 'pino',
    description:
      'Log lines as JSON: `pino` writes the time in milliseconds since 1970 and levels as numbers, `iso` an ISO 8601 time and level names',
  }),
  MULTIGATE_LOG_REQUESTS: Type.Boolean({
    default: false,
    description: 'Log one line per request, without probes, scrapes and `/docs`; otherwise only internal errors (500)',
  }),
  MULTIGATE_LOG_SAMPLE: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 1,
    description: 'Share of the requests that MULTIGATE_LOG_REQUESTS logs; server errors (5xx) are always logged',
  }),
})

import Type, { type Static } from 'typebox'
import { logSettings } from './log-settings.ts'
import { recordedRequestSettings } from './recorded-request-settings.ts'
import { traceSettings } from './trace-settings.ts'

/*
 * Configuration: environment variables, each also a flag of `multigate serve` (MULTIGATE_MAX_QUEUE_ROWS is
 * --max-queue-rows). Read once, in main.ts.
 */

export type Configuration = Static<typeof Configuration>
export const Configuration = Type.Object({
  MULTIGATE_HOST: Type.String({
    minLength: 1,
    default: '127.0.0.1',
    description: 'Address to listen on; `0.0.0.0` listens on every interface',
  }),
  MULTIGATE_PORT: Type.Integer({
    minimum: 0,
    maximum: 65535,
    default: 3000,
    description: 'Port to listen on; 0 picks a free one',
  }),
  MULTIGATE_MODELS: Type.String({
    minLength: 1,
    default: 'models',
    description:
      'Models folder, laid out as `<name>/<version>/`; a version holds a graph, with or without a manifest.json',
  }),
  MULTIGATE_DEFAULT_MODEL: Type.String({
    default: '',
    description: 'Model for requests that name none; when empty, `ads-funnel`, or the only model there is',
  }),
  MULTIGATE_REQUIRED_MODELS: Type.String({
    default: '',
    description:
      'Comma-separated models that must answer before `/readyz` reports ready; when empty, every model found at startup must have loaded or failed, and at least one must answer',
  }),
  MULTIGATE_VERSIONS: Type.Union([Type.Literal('latest'), Type.Literal('all')], {
    default: 'latest',
    description: 'Versions to serve of each model: the highest that loads, or all of them',
  }),
  MULTIGATE_INCOMPATIBLE: Type.Union([Type.Literal('allow'), Type.Literal('refuse')], {
    default: 'allow',
    description:
      'A version that lacks a task of the version that answers, or refuses requests that it accepts: `allow` lets it take over, with a warning; `refuse` fails it',
  }),
  MULTIGATE_POLL_SECONDS: Type.Number({
    minimum: 0,
    maximum: 86400,
    default: 10,
    description: 'How often to scan the models folder for new versions, in seconds; 0 scans only at startup',
  }),
  MULTIGATE_WAIT_FOR_MODELS: Type.Boolean({
    default: false,
    description: 'Wait for a models folder that is missing or unreadable instead of exiting at startup',
  }),
  MULTIGATE_UNLOAD_AFTER_SECONDS: Type.Number({
    minimum: 0,
    maximum: 86400,
    default: 300,
    description:
      'How long to keep serving models when more than half of them vanish from the folder between two scans, in seconds; otherwise a model that vanishes is unloaded at the next scan',
  }),
  MULTIGATE_KEEP_PREVIOUS_SECONDS: Type.Number({
    minimum: 0,
    maximum: 86400,
    default: 0,
    description:
      'How long a replaced version stays loaded for an immediate rollback, in seconds; it uses the memory of one more version',
  }),
  MULTIGATE_ENGINE: Type.Union([Type.Literal('auto'), Type.Literal('onnx'), Type.Literal('tensorflow')], {
    default: 'auto',
    description:
      'Inference engine: ONNX Runtime, TensorFlow.js (native, else WebAssembly), or the first of these that works',
  }),
  MULTIGATE_ONEDNN: Type.String({
    default: '',
    description:
      "oneDNN's shared library, which models in bfloat16 need, and int8 uses where it is faster; when empty, the one that `node scripts/setup-onednn.mjs` puts into the user's cache folder; `off` does without: bfloat16 is served in float32",
  }),
  MULTIGATE_CACHE: Type.String({
    default: '',
    description:
      "Folder for compiled graphs, and for copies of large feature tables in `tables/`; when empty, `multigate/plans` in the user's cache folder; `off` compiles at every startup, and copies no table",
  }),
  MULTIGATE_CACHE_BYTES: Type.Integer({
    minimum: 0,
    maximum: 1_125_899_906_842_624,
    default: 0,
    description:
      'Most bytes of compiled graphs in the folder, copies of tables not counted: before one is added, the least recently loaded ones beyond that are removed; 0: no limit. Graphs that were not loaded for a week are removed in any case',
  }),
  MULTIGATE_CANDIDATE_CACHE_BYTES: Type.Integer({
    minimum: 0,
    maximum: 1_099_511_627_776,
    default: 268_435_456,
    description:
      'Memory for cached candidates (the parts of the model that depend on them alone) per model version, shared by all workers and processes, in bytes; 0 turns the cache off',
  }),
  MULTIGATE_RESIDENT_BYTES: Type.Integer({
    minimum: 0,
    maximum: 1_125_899_906_842_624,
    default: 0,
    description:
      'Memory for the graphs of all models, of all workers and processes together, in bytes: those used least recently beyond that are closed, and opened again for their next request; 0: no limit',
  }),
  MULTIGATE_PROCESSES: Type.Integer({
    minimum: 0,
    maximum: 256,
    default: 1,
    description:
      'Processes that serve the port; above 1, a primary process starts them and replaces any that dies; 0 or `auto`: one per core if all models are small, else 1',
  }),
  MULTIGATE_WORKERS: Type.Integer({
    minimum: 0,
    maximum: 256,
    default: 0,
    description:
      'Worker threads per process; 0 starts one per available core (honours CPU affinity and cgroup quota), divided among the processes',
  }),
  MULTIGATE_MAX_BATCH_ROWS: Type.Integer({
    minimum: 1,
    maximum: 65536,
    default: 512,
    description: 'Maximum rows in one batch',
  }),
  MULTIGATE_MAX_DELAY_MS: Type.Number({
    minimum: 0,
    maximum: 1000,
    default: 0,
    description: 'How long an idle worker may wait for a fuller batch, in ms; 0 adds no delay',
  }),
  MULTIGATE_MAX_QUEUE_ROWS: Type.Integer({
    minimum: 1,
    maximum: 10_000_000,
    default: 200_000,
    description: 'Maximum queued rows per model version and process',
  }),
  MULTIGATE_MAX_REQUEST_ROWS: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 10_000,
    description: 'Maximum rows in one request',
  }),
  MULTIGATE_MAX_LIST_VALUES: Type.Integer({
    minimum: 1,
    maximum: 100_000_000,
    default: 1_000_000,
    description: 'Maximum values of all lists and vectors in one request',
  }),
  MULTIGATE_MAX_BODY_BYTES: Type.Integer({
    minimum: 1024,
    maximum: 1_073_741_824,
    default: 4_194_304,
    description: 'Maximum size of a request body, before and after decompression, in bytes',
  }),
  MULTIGATE_MAX_PENDING_BYTES: Type.Integer({
    minimum: 0,
    maximum: 1_099_511_627_776,
    default: 0,
    description:
      'Maximum bytes that clients make all processes hold: request bodies being received, responses not yet read, and requests behind them; when exceeded, the largest is dropped. 0: an eighth of the container’s memory limit, or of the machine’s memory, from 16 to 256 MiB',
  }),
  MULTIGATE_MAX_CONNECTIONS: Type.Integer({
    minimum: 1,
    maximum: 1_000_000,
    default: 10_000,
    description:
      'Maximum open connections, divided equally among the processes; further connections are closed on arrival',
  }),
  MULTIGATE_DEADLINE_MS: Type.Number({
    exclusiveMinimum: 0,
    maximum: 600_000,
    default: 1000,
    description: 'Deadline for requests that set none, in ms',
  }),
  MULTIGATE_WARM_UP_MS: Type.Integer({
    minimum: 0,
    maximum: 60_000,
    default: 2000,
    description:
      'Longest warm-up over HTTP of the first models before the process is ready, in ms: each gets half of the time left when it has loaded, and every model at least an eighth of this; 0 turns the warm-up off',
  }),
  MULTIGATE_DRAIN_DELAY_MS: Type.Integer({
    minimum: 0,
    maximum: 600_000,
    default: 1000,
    description:
      'How long to keep serving after SIGTERM while `/readyz` reports not ready, so that load balancers notice, in ms',
  }),
  MULTIGATE_ADMIN: Type.Boolean({
    default: false,
    description:
      'Let clients load and unload models on demand (`/v2/repository`); on an address other than loopback this needs `MULTIGATE_KEYS` or `MULTIGATE_ADMIN_PORT`',
  }),
  MULTIGATE_ADMIN_PORT: Type.Integer({
    minimum: 0,
    maximum: 65535,
    default: 0,
    description:
      'A port of its own for administration and metrics, which the main port then no longer serves; it asks for no key; 0 turns it off',
  }),
  MULTIGATE_ADMIN_HOST: Type.String({
    minLength: 1,
    default: '127.0.0.1',
    description: 'Address of the administration port; `0.0.0.0` lets other hosts administer, without a key',
  }),
  MULTIGATE_ALLOWED_HOSTS: Type.String({
    default: '',
    description:
      'Comma-separated host names, such as `admin.example.com`, at which administration is answered without a key, besides IP addresses, `localhost` and names for local use',
  }),
  MULTIGATE_MODEL_KEYS: Type.String({
    default: '',
    description:
      'File of ed25519 public keys (PEM): only versions that one of them has signed (`multigate sign`) are served; when empty, signatures are not checked',
  }),
  MULTIGATE_KEYS: Type.String({
    default: '',
    description: 'File of keys (`multigate keys create`), read again when it changes; when empty, clients need no key',
  }),
  MULTIGATE_OPEN: Type.String({
    default: 'probes,docs',
    description: 'Comma-separated parts that need no key where there are keys: `probes`, `docs`, `metrics`, `predict`',
  }),
  MULTIGATE_TLS_CERT: Type.String({
    default: '',
    description:
      'File of the certificate chain (PEM), read again when it changes; when empty, connections are not encrypted',
  }),
  MULTIGATE_TLS_KEY: Type.String({
    default: '',
    description: "File of the certificate's private key (PEM), read again when it changes",
  }),
  MULTIGATE_TLS_CLIENT_CA: Type.String({
    default: '',
    description:
      'File of certificate authorities (PEM): clients must present a certificate of one of them (mutual TLS); when empty, they need none',
  }),
  MULTIGATE_CORS_ORIGINS: Type.String({
    default: '',
    description:
      'Comma-separated origins whose pages may read responses, such as `https://ads.example.com`; when empty, none',
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
    { default: 'info', description: 'Lowest level to log' },
  ),
  MULTIGATE_LOG_FORMAT: Type.Union([Type.Literal('auto'), Type.Literal('pino'), Type.Literal('iso')], {
    default: 'auto',
    description:
      'Format of the log: `auto` is text for people on a terminal and `pino` elsewhere. Both others are JSON lines: `pino` writes the time as milliseconds since 1970 and levels as numbers, `iso` writes ISO 8601 times and level names',
  }),
  MULTIGATE_LOG_REQUESTS: Type.Boolean({
    default: false,
    description:
      'Log one line per request, except for probes, scrapes and `/docs`; otherwise only internal errors (500) are logged',
  }),
  MULTIGATE_CONSOLE: Type.Boolean({
    default: true,
    description:
      'Serve the console at `/`: live figures, models, a playground and requests; on the administration port, if there is one',
  }),
  ...recordedRequestSettings,
  MULTIGATE_LOG_SAMPLE: Type.Number({
    minimum: 0,
    maximum: 1,
    default: 1,
    description: 'Share of requests that `MULTIGATE_LOG_REQUESTS` logs; server errors (5xx) are always logged',
  }),
  ...logSettings,
  ...traceSettings,
})

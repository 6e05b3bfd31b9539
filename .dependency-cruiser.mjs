// The rooms of src/, each with what it may import: `npm run lint` holds every import to it.  `node scripts/map.mjs` writes the
// map, docs/architecture.md, from here.

/**
 * Rooms in the order of their imports: a room imports rooms of earlier lines alone. Each has two texts: what is found there, and
 * what may be changed there. They name the folders within, as `folder/`, unless `inside` has them; a star for the name means
 * each of them.
 */
export const order = [
  {
    schemas: [
      'every shape on the wire and on disk, once; settings (`configuration.ts`)',
      'add optional properties and [settings](recipes.md#add-a-setting)',
    ],
  },
  {
    base: [
      'helpers for all: errors, clock, files, hashes, processor; reads settings (`configuration.ts`)',
      'add what several rooms need; error codes are a closed set',
    ],
  },
  {
    'model/contracts': ['types that rooms share: engine, compiled plan, catalogue', 'a type, with all that use it'],
    'model/quality': [
      'metrics of held-out rows: AUC, GAUC, calibration error, bootstrap, comparison of two models',
      'add metrics; tools and the compiler share them',
    ],
  },
  {
    'model/graph/ir': [
      'an ONNX graph as data: read, build, infer shapes, write',
      'all but `onnx_pb.ts`, which is generated',
    ],
  },
  {
    'model/graph/lower': [
      'saved formats to ONNX: `layers/` (Keras, tf.layers), `tensorflow/` (SavedModel; `operators/`)',
      'add [operators](recipes.md#add-an-operator)',
    ],
    'model/graph/gradients': ['gradients for training', 'add a rule per ONNX operator'],
    'model/graph/onednn': [
      'products by oneDNN in bfloat16 and int8: translation, library',
      'add primitives and fusions',
    ],
  },
  {
    'model/graph/architectures': [
      'MMoE, PLE, ESMM, AITM and others, and the builder of their layers',
      'add [architectures](recipes.md#add-an-architecture), listed in `table.ts`',
    ],
  },
  { 'model/graph/sides': ['splits a graph into context and candidate sides', 'where it splits, never an answer'] },
  {
    'model/graph/passes': ['rewrites that make a graph cheaper', 'add [passes](recipes.md#add-a-compiler-pass)'],
    'model/graph/int8': ['quantises layers and tables', 'how it rounds; `model/quality/` judges'],
  },
  {
    'model/graph/compile': [
      'graph to plan: runs passes, chooses precision, narrows tables, keeps plan files and their cache',
      'raise `compilerVersion` in `plan-files.ts` when output changes: caches outlive releases',
    ],
  },
  { 'model/engines': ['creates an engine; rows in shared memory (`memory.ts`)', 'add an engine in `create.ts`'] },
  {
    'model/serving/features': [
      'named values to ids and numbers; every problem of a row',
      'add kinds of fields; models were trained on the encoding of the old ones',
    ],
    'model/serving/calibration': ['fits and applies calibration', 'add methods'],
  },
  {
    'model/serving/batching': [
      'micro-batches, deadline queue, fair share of workers, cost forecast',
      'when rows wait or are refused; a batch changes no answer',
    ],
    'model/serving/drift': ['compares live values and predictions with the training data', 'bins and distances'],
    'model/serving/bundle': [
      'manifest, checksums and files of a version: read, verify, write',
      'add optional files; written versions stay readable',
    ],
  },
  {
    'model/serving/deltas': ['live tables: reads and applies delta files', 'how they apply, not their format'],
    'model/serving/version': ['opens a version, with or without a manifest', 'what is derived without one'],
  },
  {
    'model/serving/prediction': [
      'loads a model (`model.ts`); request to answer; golden rows, warm-up, JSON writer',
      'each step; answers stay bit for bit',
    ],
  },
  {
    'model/serving/registry': [
      'which versions serve, and how long: folder, policy, pins, schedule, leases, readiness',
      'rules, in `policy.ts`: a pure function',
    ],
  },
  {
    'tools/data': ['labelled rows: CSV, Parquet, generated; expressions, splits', 'add sources and columns'],
    'tools/client': ['asks a running service', 'its calls'],
  },
  {
    'tools/evaluate': [
      '`evaluate`, `compare`, `calibrate`, `quantize`; `report/` is the HTML page (`base/`, `charts/`, `sections/`)',
      'add slices, sections, charts',
    ],
  },
  {
    server: ['the HTTP interface as a Fastify plugin (`app.ts`); never listens', 'what is registered, in which order'],
    console: [
      "the browser's part: `pages/` (`live/`, `models/`, `requests/`, `playground/`, `state/`), `parts/`, `shell/`, `api/`, `base/`, `style/`",
      'all; colours and sizes in `tokens.css`, data by `api/` alone',
    ],
    'tools/train': [
      '`train`: epochs (`fit.ts`), resumable runs; `network/` (step, loss), `threads/`, `specs/`',
      'add specifications, losses, optimisers',
    ],
    'tools/convert': ['`inspect`, `init`, `import`, `export`, `verify`, `delta`; `keras/`', 'add formats and options'],
    'tools/bench': ['`compile`, `bench`', 'what is measured and reported'],
    'tools/catalogue': ['`warm`: candidates ahead of requests', 'which rows are kept'],
    'tools/load': ['generates open and closed load', 'arrivals and requests'],
    'tools/top': ['`top`: live figures in a terminal', 'the screen'],
  },
  {
    app: [
      'one process: compose (`service.ts`), listen, mount into Fastify, warm up, log, TLS; `cluster/`: several on one port',
      'how parts are connected and started',
    ],
  },
  {
    'tools/keys': ['`keys`, `sign`, `pin`', 'commands; checks are in `server/security/`'],
    'tools/doctor': ['`doctor`: checks an installation', 'add checks'],
    'tools/sync': ['`sync`, `index`: copies models; `sources/`: S3, GCS, OCI, HTTP', 'add sources'],
    'tools/capacity': ['`capacity`, `tune`', 'how cost and queues are estimated'],
  },
  { 'tools/commands': ['all commands, in the order of the help; shell completion', "add a command's line"] },
]

/** Rooms within those of `order`, which import each other freely, but for rings. */
export const inside = {
  'model/engines/pool': [
    'worker threads: hands calls over, replaces dead workers, closes idle graphs',
    'which worker computes, which graphs stay open',
  ],
  'model/engines/plan': [
    'runs a compiled plan: chooses a variant per call; candidate cache',
    'the choice and its costs',
  ],
  'model/engines/onnx': ['ONNX Runtime', 'session options'],
  'model/engines/small': ['small graphs as WebAssembly on the main thread', 'add operators'],
  'model/engines/tensorflow': ['TensorFlow.js', 'its backends'],
  'model/engines/catalogue': ["the catalogue's file: written, mapped, looked up", 'its format, with its number'],
  'server/fast-path': ['ordinary predictions, before Fastify sees them', 'what is ordinary; both ways answer alike'],
  'server/protocols': [
    'a folder per protocol, `*/`: its routes, documentation, reader and writer',
    'add [protocols](recipes.md#add-a-protocol)',
  ],
  'server/request': [
    'what all predictions share: deadline, lease, metrics, timeline, recorded requests',
    'what holds for every protocol',
  ],
  'server/body': ['reads bodies: decompression, JSON, tensors; large ones in a thread', 'bounds and parsers'],
  'server/overload': ['admission, pending and unread bytes, pipelining', 'when load is shed'],
  'server/security': ['keys and their scopes, rate limits, CORS', 'access rules, with `SECURITY.md`'],
  'server/errors': ['error code to status and problem details', 'add codes, with `docs/errors.md`'],
  'server/plugins': ['validation, OpenAPI, request ids, strict HTTP, draining', 'what holds for every route'],
  'server/routes': ['models, versions, pins, probes, `/metrics`, `/debug`', 'add routes, with their documentation'],
  'server/metrics': ['Prometheus metrics and statistics', 'add metrics; names are published'],
  'server/telemetry': ['OpenTelemetry traces', 'spans and attributes'],
  'server/console': ["serves the console's files and live stream", 'the readings'],
}

/** The files outside of all rooms. */
export const loose = {
  main: ['the process `npm start` runs', 'nothing: see `app/`'],
  cli: ['the command line', 'nothing: commands are in `tools/`'],
  index: ['the library', 'add exports: it is the public interface'],
}

/** Packages that a room must not import, whatever its place. */
const packages = [
  {
    rooms: ['model'],
    names: ['fastify', 'fastify-plugin', '@fastify/.+', 'prom-client'],
    why: 'model/ knows neither HTTP nor metrics',
  },
  {
    rooms: 'data client evaluate train convert bench catalogue load top keys doctor capacity'
      .split(' ')
      .map((tool) => `tools/${tool}`),
    names: ['fastify', '@fastify/.+', 'prom-client'],
    why: 'tools serve nothing',
  },
  {
    rooms: ['server', 'app'],
    names: ['@tensorflow/.+', 'onnxruntime-node'],
    why: 'models are reached through model/',
  },
]

const lines = order.map((line) => Object.keys(line))
const all = lines.flat()
const roomPath = (room) => `^src/${room}/`

const rooms = lines.flatMap((line, i) =>
  line.map((room) => ({
    name: `room: ${room}`,
    comment: `${room}/ imports earlier rooms alone: see \`order\` in .dependency-cruiser.mjs.`,
    severity: 'error',
    from: { path: roomPath(room) },
    to: {
      path: '^src/',
      pathNot: [room, ...lines.slice(0, i).flat()].map(roomPath),
    },
  })),
)

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...rooms,
    {
      name: 'no room',
      comment: 'Every folder of src/ has its place in `order`; only the files of `loose` stand outside.',
      severity: 'error',
      from: { path: '^src/', pathNot: [...all.map(roomPath), `^src/(${Object.keys(loose).join('|')})\\.ts$`] },
      to: {},
    },
    {
      name: 'no ring of files',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no ring of folders',
      severity: 'error',
      scope: 'folder',
      from: {},
      to: { circular: true },
    },
    ...packages.map(({ rooms, names, why }) => ({
      name: `packages of ${rooms.join(', ')}`,
      comment: why,
      severity: 'error',
      from: { path: rooms.map(roomPath) },
      to: { path: names.map((name) => `node_modules/${name}/`) },
    })),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'] },
  },
}

// The rooms of src/, each with what it may import: `npm run lint` holds every import to it.  `node scripts/map.mjs`
// writes the map, docs/architecture.md, from here.

/**
 * Rooms in the order of their imports: a room imports rooms of earlier lines alone. Each has two texts: what is found
 * there, and what may be changed there. They name the folders within, as `folder/`, unless `inside` has them; a star
 * for the name means each of them.
 */
export const order = [
  {
    schemas: [
      'shapes on the wire and on disk; settings (`configuration.ts`)',
      'add optional properties and [settings](recipes.md#add-a-setting)',
    ],
  },
  {
    base: ['helpers: errors, clock, files, hashes, processor; reads settings', 'what several rooms need'],
  },
  {
    'prediction-log': [
      'reads the files of a prediction log; `parquet/`: records as columns',
      'add forms of files; records: `schemas/prediction-log.ts`',
    ],
    'model/contracts': ['types of engines, plans, catalogues', 'types, with their users'],
    'model/quality': [
      'AUC, GAUC, calibration error, bootstrap, comparisons',
      'add metrics; `schemas/comparison.ts`, `tools/evaluate/` show them',
    ],
  },
  {
    'model/graph/ir': ['an ONNX graph as data', 'all but `onnx_pb.ts` (generated)'],
  },
  {
    'model/graph/rows': [
      'a graph as steps over rows (`program.ts`), whatever computes its products',
      'steps, kernels in WebAssembly (`kernel.wat`)',
    ],
  },
  {
    'model/graph/operators': [
      'all that is known of each ONNX operator: columns, gradient, rows, TensorFlow',
      'add [operators](recipes.md#add-an-operator) (`unary.ts`, `binary.ts`, `shape.ts`, …)',
    ],
  },
  {
    'model/graph/lower': [
      'to ONNX: Keras (`layers/`), SavedModel (`tensorflow/`, with `operators/`; variables: `checkpoint.ts`)',
      'add operators of theirs that are several of ONNX',
    ],
    'model/graph/gradients': ['the backward pass, for training', 'the order of its nodes'],
    'model/graph/onednn': ['products of rows by oneDNN: bfloat16, int8', 'add primitives, fusions'],
  },
  {
    'model/graph/architectures': [
      'MMoE, PLE, ESMM, AITM and others: options, layers, Keras classes, drawings',
      'add [architectures](recipes.md#add-an-architecture) (`table.ts`) and options of them',
    ],
  },
  { 'model/graph/sides': ['splits context from candidates', 'where it splits'] },
  {
    'model/graph/passes': [
      'rewrites to cheaper graphs',
      'add [passes](recipes.md#add-a-compiler-pass); `compile/optimise.ts` lists them',
    ],
    'model/graph/int8': ['quantises layers and tables', 'how it rounds'],
    'model/graph/lists': [
      'cuts lists to their lengths, where padding adds nothing',
      'where lists enter; operators say what becomes of their places',
    ],
  },
  {
    'model/graph/compile': [
      'graph to plan: passes, precision, narrow tables, plan files and cache',
      'all; raise `compilerVersion` with the output',
    ],
  },
  { 'model/engines': ['creates engines; shared memory', 'add engines (`create.ts`)'] },
  { 'model/serving/delta-files': ['files of changes beside a version: container, following', 'when they apply'] },
  { 'model/serving/tables': ['feature tables: rows by key, mapped', 'their format, numbered'] },
  {
    'model/serving/features': [
      'named values to numbers; messages on fields (`context.ts`, `field.ts`)',
      'add kinds; wording',
    ],
    'model/serving/calibration': ['calibration: fit, apply', 'add methods'],
  },
  {
    'model/serving/batching': [
      'batches, deadline queue, fair share, cost forecast',
      'who waits; who is refused (`refusal.ts`)',
    ],
    'model/serving/drift': ['live values against training data', 'bins and distances'],
    'model/serving/bundle': ["a version's manifest, checksums, files", 'add; old versions stay readable'],
  },
  {
    'model/serving/deltas': ['live tables: deltas of their rows', 'how they apply'],
    'model/serving/version': ['opens versions, also without manifest; signatures', 'what a graph implies'],
  },
  {
    'model/serving/prediction': [
      'request to probabilities; derived tasks, ranking; golden rows, warm-up',
      'steps; add options',
    ],
  },
  {
    'model/serving/registry': [
      'which versions serve, and the switch (`served-model.ts`); pins, schedule, leases, readiness',
      'rules (`policy.ts`)',
    ],
  },
  {
    'tools/client': ['asks a running service', 'its calls'],
    'tools/stores': [
      'buckets and folders as places of files: S3, GCS; HTTP; how long each is waited for',
      'add stores',
    ],
  },
  { 'tools/data': ['labelled rows: CSV, Parquet, prediction logs, generated; splits', 'add sources'] },
  {
    'tools/evaluate': [
      '`evaluate`, `compare`, `calibrate`, `quantize`; HTML in `report/` (`base/`, `charts/`, `sections/`)',
      'add sections, charts',
    ],
  },
  {
    server: ['HTTP as a Fastify plugin (`app.ts`)', 'what is registered'],
    console: [
      '`pages/` (`live/`, `models/`, where `compare.tsx` has two versions, `requests/`, `tables/`, `prediction-log/`, `playground/` with its `state/`), `parts/`, `shell/`, `api/`, `base/`, `style/`',
      'all; colours: `tokens.css`, data: `api/`',
    ],
    'tools/train': [
      '`train`; `network/` (step, loss), `threads/` (`adam.ts`; rows of tables: `table-updates.ts`), `specs/`',
      'add specifications, losses, optimisers',
    ],
    'tools/convert': ['`inspect`, `init`, `import`, `export`, `verify`, `delta`; `keras/`', 'add formats'],
    'tools/features': ['`features`: imports feature tables', 'add forms of files'],
    'tools/bench': ['`compile`, `bench`', 'what is measured'],
    'tools/catalogue': ['`warm`: candidates ahead of requests', 'which are kept'],
    'tools/load': ['open and closed load', 'arrivals'],
  },
  {
    app: [
      'compose (`service.ts`, `load-options.ts`), listen, mount, warm up, shut down, log, TLS; `cluster/`: several processes',
      'how parts are connected',
    ],
  },
  {
    'tools/keys': ['`keys`, `sign`, `pin`', 'commands; checks: `server/security/`'],
    'tools/log': ['`log`: records of a prediction log', 'commands'],
    'tools/doctor': ['`doctor`', 'add checks'],
    'tools/sync': ['`sync`, `index`: copies models; `sources/`: OCI, HTTP', 'add sources'],
    'tools/replay': ['`replay`: a prediction log asked again; `report/`', 'what is compared'],
    'tools/capacity': ['`capacity`', 'estimates of cost, queues'],
  },
  { 'tools/commands': ['all commands', 'add commands'] },
]

/** Rooms within those of `order`, which import each other freely, but for rings. */
export const inside = {
  'model/engines/pool': ['worker threads; their deaths; idle graphs', 'who computes'],
  'model/engines/plan': ['variant of a call; candidate cache', 'the choice, its costs'],
  'model/engines/onnx': ['ONNX Runtime', 'session options'],
  'model/engines/small': ['small graphs on the main thread: products of rows in WebAssembly', 'add products'],
  'model/engines/tensorflow': ['TensorFlow.js', 'its backends'],
  'model/engines/catalogue': ['file of candidates computed ahead', 'its format, numbered'],
  'server/fast-path': ['ordinary predictions, before Fastify', 'what is ordinary'],
  'server/protocols': [
    'a folder per protocol (`*/`): routes, reader, writer',
    'add [protocols](recipes.md#add-a-protocol)',
  ],
  'server/request': ['shared by protocols: deadline, timeline, request records', 'all protocols together'],
  'server/prediction-log': [
    'what was asked and answered: buffer, thread, records, files',
    'add properties of records (`schemas/prediction-log.ts`), rules for files',
  ],
  'server/body': ['bodies: decompression, JSON, tensors; a thread for large ones', 'bounds and parsers'],
  'server/overload': ['admission, unread bytes, pipelining', 'when load is shed'],
  'server/security': ['keys and their scopes, rate limits, CORS', 'access rules'],
  'server/errors': ['the body of RFC 9457; code to status (`problem-details.ts`)', 'add codes; wording'],
  'server/plugins': ['validation, OpenAPI, request ids, strict HTTP, draining', 'all routes together'],
  'server/routes': ['models, versions, pins, probes, `/metrics`, `/debug`', 'add routes'],
  'server/metrics': ['Prometheus metrics and statistics', 'add metrics; histogram bounds (`bound-series.ts`)'],
  'server/telemetry': ['OpenTelemetry traces', 'spans and attributes'],
  'server/console': ['the files and live stream of the console', 'the readings'],
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
    rooms: 'data client stores evaluate train convert features bench catalogue load top keys log doctor capacity'
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

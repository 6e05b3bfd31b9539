// The rooms of src/, each with what it may import: `npm run lint` holds every import to it.  docs/architecture.md is
// the map.

/** Rooms in the order of their imports: a room imports rooms of earlier lines alone. */
const order = [
  ['schemas'],
  ['base'],
  ['model/contracts', 'model/quality'],
  ['model/graph/ir'],
  ['model/graph/lower', 'model/graph/gradients', 'model/graph/onednn'],
  ['model/graph/architectures'],
  ['model/graph/sides'],
  ['model/graph/passes', 'model/graph/int8'],
  ['model/graph/compile'],
  ['model/engines'],
  ['model/serving/features', 'model/serving/calibration'],
  ['model/serving/batching', 'model/serving/drift', 'model/serving/bundle'],
  ['model/serving/deltas', 'model/serving/version'],
  ['model/serving/prediction'],
  ['model/serving/registry'],
  ['tools/data', 'tools/client'],
  ['tools/evaluate'],
  ['server', 'console', 'tools/train', 'tools/convert', 'tools/bench', 'tools/catalogue', 'tools/load', 'tools/top'],
  ['app'],
  ['tools/keys', 'tools/doctor', 'tools/sync', 'tools/capacity'],
  ['tools/commands'],
]

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

const all = order.flat()
const roomPath = (room) => `^src/${room}/`

const rooms = order.flatMap((line, i) =>
  line.map((room) => ({
    name: `room: ${room}`,
    comment: `${room}/ imports earlier rooms alone: see \`order\` in .dependency-cruiser.mjs.`,
    severity: 'error',
    from: { path: roomPath(room) },
    to: {
      path: '^src/',
      pathNot: [room, ...order.slice(0, i).flat()].map(roomPath),
    },
  })),
)

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...rooms,
    {
      name: 'no room',
      comment: 'Every folder of src/ has its place in `order`; only main, cli and index stand outside.',
      severity: 'error',
      from: { path: '^src/', pathNot: [...all.map(roomPath), '^src/(main|cli|index)\\.ts$'] },
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

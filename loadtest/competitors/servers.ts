import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { serverArgv } from '../../src/app/v8-flags.ts'
import { type ServingGroup, startGroup } from '../children.ts'
import { main } from '../entries.ts'
import { freePort } from '../free-port.ts'
import type { FormName } from './forms.ts'
import { type ModelFiles, modelsIn, type ReferenceModel } from './models.ts'
import type { Candidates } from './queries.ts'
import type { Scenario } from './scenarios.ts'

/** A server's set-up: the best one found for the scenario. */
export interface Setup {
  workers: number
  /** Most requests per call; 1 without batching. */
  batch: number
}

export interface ServerKind {
  title: string
  forms: readonly FormName[]
  /** Includes `seen` for a server that caches candidates. */
  candidates: readonly Candidates[]
  /** Installed by setup.sh at first use. */
  installed: boolean
  /** The precision that multigate computes in; default: float32. */
  precision?: 'bfloat16' | 'int8'
  setup(scenario: Scenario): Setup
  /** Path, if it is not the form's. */
  path?: string
  /** Receives each request's deadline and may reject it. */
  deadlines: boolean
  launch(options: LaunchOptions): Promise<Launch> | Launch
}

export interface LaunchOptions {
  model: ReferenceModel
  files: ModelFiles
  port: number
  setup: Setup
  /** Folder of the servers that are installed. */
  python: string
  /** An empty folder of its own. */
  folder: string
  /** Folder of compiled plans. */
  plans: string
  /** Further variables of its environment. */
  settings?: Readonly<Record<string, string>>
}

interface Launch {
  command: string
  args: string[]
  env: Record<string, string>
}

export interface RunningServer {
  base: URL
  group: number
  stop(): Promise<void>
}

const root = join(import.meta.dirname, '../../..')
const sources = join(root, 'loadtest/competitors/servers')
/** Longest time for a server to load its model, ms. */
const patience = 60_000

/** For all alike, and what multigate does by default. */
const cores = availableParallelism()
const oneACore: Setup = { workers: cores, batch: 1 }

/** Properties of the servers that setup.sh installs, most of which take matrices of rows. */
const installedPeer = {
  forms: ['tensors'],
  candidates: ['new'],
  installed: true,
  setup: () => oneACore,
  deadlines: false,
} satisfies Partial<ServerKind>

/** multigate's. */
const own = {
  candidates: ['new', 'seen'],
  installed: false,
  setup: () => oneACore,
  deadlines: true,
} satisfies Partial<ServerKind>

function ourPrecision(precision: 'bfloat16' | 'int8') {
  return {
    title: `multigate, ${precision}`,
    ...own,
    forms: ['binary'],
    precision,
    launch: (options) => launchOurs(options, precision),
  } satisfies ServerKind
}

/** All servers by name. */
export const servers = {
  multigate: { title: 'multigate', ...own, forms: ['tensors', 'columns', 'binary'], launch: launchOurs },
  processes: {
    title: 'multigate, one process per core',
    ...own,
    forms: ['tensors'],
    candidates: ['new'],
    launch: (options) => {
      const { env, ...launch } = launchOurs(options)
      return { ...launch, env: { ...env, MULTIGATE_PROCESSES: String(options.setup.workers), MULTIGATE_WORKERS: '1' } }
    },
  },
  bfloat16: ourPrecision('bfloat16'),
  int8: ourPrecision('int8'),
  fastify: {
    title: 'Fastify + onnxruntime-node in the handler',
    forms: ['tensors'],
    candidates: ['new'],
    installed: false,
    // A cluster does not pay off for very cheap requests.
    setup: ({ model }) => ({ workers: model === 'small' ? 1 : cores, batch: 1 }),
    deadlines: false,
    launch: ({ files, port, setup }) => ({
      command: process.execPath,
      args: [join(root, 'build/loadtest/competitors/servers/fastify-onnx.js')],
      env: { MODEL: files.onnx, PORT: String(port), WORKERS: String(setup.workers), NODE_ENV: 'production' },
    }),
  },
  rust: {
    title: 'Rust: axum + ort in the handler',
    ...installedPeer,
    launch: ({ files, port, setup, python }) => ({
      command: join(python, 'rust/competitor'),
      args: [],
      env: {
        MODEL: files.onnx,
        ONNXRUNTIME: join(python, 'rust/libonnxruntime.so'),
        PORT: String(port),
        WORKERS: String(setup.workers),
      },
    }),
  },
  triton: {
    title: 'Triton, Python backend',
    ...installedPeer,
    forms: ['oip', 'binary'],
    setup: () => ({ workers: cores, batch: 64 }),
    launch: launchTriton,
  },
  fastapi: {
    title: 'FastAPI + onnxruntime, uvicorn',
    ...installedPeer,
    launch: ({ files, port, setup, python }) => ({
      command: join(python, 'fastapi/bin/uvicorn'),
      args: [
        'fastapi_app:app',
        ...['--host', '127.0.0.1', '--port', String(port), '--workers', String(setup.workers)],
        ...['--loop', 'uvloop', '--http', 'httptools', '--no-access-log', '--log-level', 'warning'],
      ],
      env: pythonEnv(files),
    }),
  },
  mosec: {
    title: 'mosec + onnxruntime',
    ...installedPeer,
    // Batching helps if a call costs more than its rows, and hurts if they fill a worker anyway.
    setup: ({ name }) => (name === 'S2' ? { workers: 1, batch: 64 } : oneACore),
    path: '/inference',
    launch: ({ files, port, setup, python, folder }) => ({
      command: join(python, 'mosec/bin/python'),
      args: [
        join(sources, 'mosec_app.py'),
        ...['--address', '127.0.0.1', '--port', String(port), '--path', join(folder, 'mosec')],
        ...['--timeout', '3000', '--log-level', 'warning'],
      ],
      env: { ...pythonEnv(files), WORKERS: String(setup.workers), BATCH: String(setup.batch) },
    }),
  },
} satisfies Record<string, ServerKind>

export type ServerName = keyof typeof servers

/** Starts a server on a free port in its own process group and waits until `answers` resolves with true. */
export async function startServer(
  kind: ServerKind,
  options: Omit<LaunchOptions, 'port'>,
  answers: (base: URL) => Promise<boolean>,
): Promise<RunningServer> {
  const port = await freePort()
  const base = new URL(`http://127.0.0.1:${port}`)
  await mkdir(options.folder, { recursive: true })
  const { command, args, env } = await kind.launch({ ...options, port })
  const group: ServingGroup = await startGroup({
    command,
    args,
    env: { ...process.env, ...env, ...options.settings },
    // Python finds its modules here.
    folder: kind.installed ? sources : root,
    ready: () => answers(base),
    patience,
  })
  return { base, group: group.leader, stop: group.stop }
}

/** Starts a server that needs no installation, and waits until it is ready. */
export function startReady(
  kind: ServerKind,
  { scenario, cache, ...options }: Omit<LaunchOptions, 'port' | 'setup' | 'python' | 'plans'> & ReadyOptions,
): Promise<RunningServer> {
  return startServer(
    kind,
    { ...options, setup: kind.setup(scenario), python: '', plans: join(cache, 'plans') },
    // A server without a probe answers as soon as it has its model.
    async (base) => (await fetch(new URL('/readyz', base))).status !== 503,
  )
}

interface ReadyOptions {
  scenario: Scenario
  /** The folder of models and plans. */
  cache: string
}

function launchOurs({ model, files, port, plans }: LaunchOptions, precision?: 'bfloat16' | 'int8'): Launch {
  return {
    command: process.execPath,
    args: [...serverArgv([]), main],
    env: {
      MULTIGATE_HOST: '127.0.0.1',
      MULTIGATE_PORT: String(port),
      MULTIGATE_MODELS: modelsIn(files, precision),
      MULTIGATE_DEFAULT_MODEL: model.name,
      MULTIGATE_CACHE: plans,
      MULTIGATE_DRAIN_DELAY_MS: '0',
      // Default deadline, for requests of the closed loop: none is rejected.
      MULTIGATE_DEADLINE_MS: '10000',
      MULTIGATE_LOG_LEVEL: 'error',
    },
  }
}

function pythonEnv({ onnx }: ModelFiles): Record<string, string> {
  return { MODEL: onnx, PYTHONPATH: sources, PYTHONDONTWRITEBYTECODE: '1', OMP_NUM_THREADS: '1' }
}

async function launchTriton({ model, files, port, setup, python, folder }: LaunchOptions): Promise<Launch> {
  const repository = join(folder, 'repository')
  const version = join(repository, model.name, '1')
  await mkdir(version, { recursive: true })
  await copyFile(join(sources, 'triton/model.py'), join(version, 'model.py'))
  const input = (name: string, type: string, width: number) => `{ name: "${name}" data_type: ${type} dims: [${width}] }`
  const inputs = [input('sparse', 'TYPE_INT32', model.sparse.fields), input('dense', 'TYPE_FP32', model.dense.fields)]
  await writeFile(
    join(repository, model.name, 'config.pbtxt'),
    `name: "${model.name}"
backend: "python"
max_batch_size: 512
input [${inputs.join(', ')}]
output [${input('probabilities', 'TYPE_FP32', 2)}]
instance_group [{ count: ${setup.workers} kind: KIND_CPU }]
dynamic_batching { max_queue_delay_microseconds: 0 }
`,
  )
  const server = join(python, 'triton/tritonserver')
  const environment = join(python, 'triton')
  return {
    command: join(server, 'bin/tritonserver'),
    args: [
      `--model-repository=${repository}`,
      `--backend-directory=${join(server, 'backends')}`,
      ...['--http-address=127.0.0.1', `--http-port=${port}`, `--http-thread-count=${cores}`, '--exit-timeout-secs=2'],
      ...['--allow-grpc=false', '--allow-metrics=false', '--log-info=false', '--log-warning=false'],
    ],
    env: {
      ...pythonEnv(files),
      // The stub is not the virtual environment's Python, so it needs the path of its packages.
      PYTHONPATH: [sources, join(environment, 'lib/python3.12/site-packages')].join(':'),
      LD_LIBRARY_PATH: join(environment, 'python-library'),
    },
  }
}

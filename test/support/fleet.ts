import { cpSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { createCalibrator } from '../../src/model/serving/calibration/calibrator.ts'
import type { Balancer } from './balancer.ts'
import { temporaryFolder, writeTestBundle } from './bundle.ts'
import { createNetwork, type Network } from './network.ts'
import type { Exchange } from './open-loop-client.ts'
import { type Process, startProcess } from './process.ts'
import { until } from './until.ts'

/*
 * Three servers, each on a host of its own, behind a load balancer with its configuration of deploy/, and a client that
 * asks them all the time. The third server is behind a link that can be slow.
 */

const script = (name: string) => fileURLToPath(new URL(`./${name}.js`, import.meta.url))
/** The addresses in the configurations. */
export const addresses = { balancer: '10.0.0.1', s1: '10.0.0.11', s2: '10.0.0.12', s3: '10.0.0.13' }
export type Server = 's1' | 's2' | 's3'
export const servers: readonly Server[] = ['s1', 's2', 's3']
const port = { server: 3000, behindLink: 3100 }

export interface Fleet {
  network: Network
  processes: Record<Server, Process>
  /** The bodies that the client sends. */
  bodies: readonly string[]
  /** Starts a server; resolves when it is ready. */
  start(server: Server): Promise<void>
  balancer: Balancer
  /** Requests that are over, so far. */
  exchanges(): Exchange[]
  /** Puts a version into the folder of all servers, to take effect at a time. */
  publish(version: string, activateAt?: Date): void
  /** Says when a version takes effect. */
  schedule(version: string, activateAt: Date): void
  /** The answer that a version must give, by the number of the body. */
  expected(version: string, body: number): Record<string, number> | undefined
  /** Makes the link of s3 slow, or fast again. */
  toggleLink(): void
  /** Sends no more requests, and waits for all answers. */
  stopClient(): Promise<void>
}

export interface FleetOptions {
  startBalancer(t: Test, network: Network): Promise<Balancer>
  /** Versions that can be published; the first is there from the start. */
  versions: string[]
  /** Requests per second. */
  rate: number
}

/** Where there can be no fleet here, why, as a string. */
export async function createFleet(t: Test, { versions, rate, startBalancer }: FleetOptions): Promise<Fleet | string> {
  const network = createNetwork(t, addresses)
  if (typeof network === 'string') return network
  const models = await createModels(t, versions)
  const processes = {} as Record<Server, Process>
  const start = async (server: Server) => {
    const variables = {
      MULTIGATE_MODELS: models.folder,
      MULTIGATE_HOST: '0.0.0.0',
      MULTIGATE_PORT: String(server === 's3' ? port.behindLink : port.server),
      MULTIGATE_POLL_SECONDS: '0.2',
      // The intervals of HAProxy's checks are made for this delay.
      MULTIGATE_DRAIN_DELAY_MS: '1000',
    }
    processes[server] = await startProcess(t, variables, 'ready', network.on(server))
  }
  await Promise.all(servers.map(start))
  const link = network.spawn(
    's3',
    process.execPath,
    [script('delaying-proxy'), ...Object.values(port).map(String), '150'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  await new Promise((resolve) => link.stdout!.once('data', resolve))
  const balancer = await startBalancer(t, network)
  for (const server of servers) await until(() => balancer.isUp(server))

  const url = `http://${addresses.balancer}:${balancer.port}/predict`
  const client = network.spawn(
    'balancer',
    process.execPath,
    [script('open-loop-client'), url, String(rate), JSON.stringify(models.bodies)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  let lines = ''
  client.stdout!.setEncoding('utf8').on('data', (part) => (lines += part))
  const exchanges = () =>
    lines
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Exchange)
  await until(() => lines.includes('\n'))
  return {
    network,
    processes,
    bodies: models.bodies,
    start,
    balancer,
    exchanges,
    publish: models.publish,
    schedule: models.schedule,
    expected: models.expected,
    toggleLink: () => link.kill('SIGUSR2'),
    async stopClient() {
      const ended = new Promise((resolve) => client.once('close', resolve))
      client.kill('SIGTERM')
      await ended
      await until(() => balancer.logged().length >= exchanges().length)
    },
  }
}

/** Versions with different answers, of which the first is there. */
async function createModels(t: Test, versions: string[]) {
  const made = await temporaryFolder(t)
  const folder = await temporaryFolder(t)
  const answers = new Map<string, Record<string, number>[]>()
  let bodies: string[] = []
  for (const version of versions) {
    const { golden, tasks } = await writeTestBundle(made, { version, seed: Number(version) })
    const calibrators = tasks.map(({ calibration }) => createCalibrator(calibration))
    answers.set(
      version,
      golden!.probabilities.map((row) => {
        const [ctr, cvr] = row.map((raw, task) => calibrators[task]!(raw)) as [number, number]
        return { ctr, cvr, ctcvr: ctr * cvr }
      }),
    )
    bodies = golden!.rows.map((row) => JSON.stringify({ candidates: [row] }))
  }
  const schedule = (version: string, activateAt: Date) => {
    const written = join(folder, `ads/.${version}.json`)
    writeFileSync(written, JSON.stringify({ activate_at: activateAt.toISOString() }))
    renameSync(written, join(folder, `ads/${version}.json`))
  }
  const publish = (version: string, activateAt?: Date) => {
    if (activateAt !== undefined) schedule(version, activateAt)
    cpSync(join(made, 'ads', version), join(folder, `ads/.${version}`), { recursive: true })
    renameSync(join(folder, `ads/.${version}`), join(folder, 'ads', version))
  }
  mkdirSync(join(folder, 'ads'))
  publish(versions[0]!)
  return {
    folder,
    bodies,
    publish,
    schedule,
    expected: (version: string, body: number) => answers.get(version)?.[body],
  }
}

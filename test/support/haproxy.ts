import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import type { Balancer, Logged } from './balancer.ts'
import { temporaryFolder } from './bundle.ts'
import type { Network } from './network.ts'
import { until } from './until.ts'

/** The configuration in the repository. */
export const haproxyFile = join(import.meta.dirname, '../../../deploy/haproxy/haproxy.cfg')
export const haproxyInstalled = spawnSync('haproxy', ['-v']).status === 0

/** The second variant is what the client asks for, with a header: its line is no comment. */
export const withVariants = (configuration: string) => configuration.replace('# use_backend', 'use_backend')

/**
 * HAProxy with the configuration of deploy/, where both variants can be used. The path of its socket is another one; a
 * slow machine is not taken for a server that hangs; and it has one thread: of several that write to the log at once,
 * one drops its line.
 */
export async function startHaproxy(t: Test, network: Network): Promise<Balancer> {
  const folder = await temporaryFolder(t)
  const socket = join(folder, 'admin.sock')
  const file = join(folder, 'haproxy.cfg')
  const configuration = withVariants(readFileSync(haproxyFile, 'utf8'))
  writeFileSync(
    file,
    configuration
      .replace('/run/haproxy/admin.sock', socket)
      .replace('timeout server 1500ms', 'timeout server 5s')
      .replace(/^global$/m, 'global\n    nbthread 1'),
  )
  const child = network.spawn('balancer', 'haproxy', ['-db', '-f', file], { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', (part) => (log += part))
  const ask = async (command: string) => {
    const connection = connect(socket)
    connection.end(`${command}\n`)
    return text(connection)
  }
  const row = async (server: string): Promise<Record<string, string>> => {
    const [head = '', ...rows] = (await ask('show stat')).replace(/^# /, '').trim().split('\n')
    const columns = head.split(',')
    const stats = rows.map((line) => Object.fromEntries(line.split(',').map((value, i) => [columns[i], value])))
    return stats.find(({ pxname, svname }) => pxname === 'multigate' && svname === server)!
  }
  await until(() => {
    if (child.exitCode !== null) throw new Error(`HAProxy ended: ${log}`)
    return ask('show info').then(
      () => true,
      () => false,
    )
  })
  return {
    port: 8080,
    isUp: async (server) => (await row(server)).status === 'UP',
    isDown: async (server) => (await row(server)).status!.startsWith('DOWN'),
    resent: async () => Number((await row('BACKEND')).wredis),
    logged: () => log.split('\n').slice(0, -1).flatMap(parse),
  }
}

/** A line of `option httplog`, with the request's id captured. */
function parse(line: string): Logged[] {
  const found = /\] predictions multigate\w*\/(\S+) \S+ (-?\d+) \S+ - - \S+ \S+\/\+?(\d+) \S+ \{(\S+)\} "/.exec(line)
  if (found === null) return []
  const [, server, status, retries, id] = found as unknown as string[]
  return [{ id: id!, server: server!, status: Number(status), retries: Number(retries) }]
}

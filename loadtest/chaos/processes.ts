import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/*
 * The kernel's facts about processes and their connections (proc(5)).
 */

/** Children of a process, as long as they run. */
export function childrenOf(pid: number): number[] {
  const text = orElse(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1'), '')
  return text.split(' ').filter(Boolean).map(Number)
}

/** Ports of the clients whose connections to `serverPort` a process holds; none where it has ended. */
export function clientPortsOf(pid: number, serverPort: number): Set<number> {
  const held = socketInodes(pid)
  // All processes here have the same network.
  const connections = parseTcpTable(readFileSync('/proc/self/net/tcp', 'latin1'))
  const here = connections.filter(({ localPort, inode }) => localPort === serverPort && held.has(inode))
  return new Set(here.map(({ remotePort }) => remotePort))
}

export interface TcpConnection {
  localPort: number
  remotePort: number
  /** Identifies the socket; 0 where no process holds it. */
  inode: number
}

/** The lines of `/proc/net/tcp`. */
export function parseTcpTable(text: string): TcpConnection[] {
  return text
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields.length > 9)
    .map((fields) => ({ localPort: portOf(fields[1]!), remotePort: portOf(fields[2]!), inode: Number(fields[9]) }))
}

/** The port of an address such as `0100007F:0BB8`. */
function portOf(address: string): number {
  return Number.parseInt(address.slice(address.indexOf(':') + 1), 16)
}

function socketInodes(pid: number): Set<number> {
  const folder = `/proc/${pid}/fd`
  const inodes = new Set<number>()
  for (const name of orElse(() => readdirSync(folder), [])) {
    const target = orElse(() => readlinkSync(`${folder}/${name}`), '')
    const [, inode] = /^socket:\[(\d+)\]$/.exec(target) ?? []
    if (inode !== undefined) inodes.add(Number(inode))
  }
  return inodes
}

/** The result of `read`, or `otherwise` where the process or its file was closed meanwhile. */
function orElse<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return otherwise
    throw error
  }
}

/** State of a process, such as `T` for stopped; undefined where it has ended. */
export function stateOf(pid: number): string | undefined {
  const stat = orElse(() => readFileSync(`/proc/${pid}/stat`, 'latin1'), '')
  return stat[stat.lastIndexOf(')') + 2]
}

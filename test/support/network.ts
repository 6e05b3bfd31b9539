import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'

/*
 * A network of several hosts on this one, of Linux network namespaces. Nothing in it reaches the outside, nor the other
 * way.
 */

export interface Network {
  /** The words that run a command on a host, to be put before it. */
  on(host: string): string[]
  /** A process on a host; it is gone when the test ends. */
  spawn(host: string, command: string, args: string[], options?: SpawnOptions): ChildProcess
}

const prefix = 'multigate-test-'

/**
 * Hosts by their addresses in 10.0.0.0/24, all of which see each other; the first one has the bridge. Where the system
 * does not allow that, why, as a string. Removes what tests that were killed have left.
 */
export function createNetwork(t: Test, hosts: Record<string, string>): Network | string {
  if (process.platform !== 'linux') return 'network namespaces need Linux'
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  const name = (host: string) => `${prefix}${process.pid}-${host}`
  try {
    removeLeftovers()
    t.teardown(() => removeAll(Object.keys(hosts).map(name)))
    const [first, ...others] = Object.keys(hosts)
    const bridge = name(first!)
    ip('netns', 'add', bridge)
    ip('-n', bridge, 'link', 'add', 'bridge', 'type', 'bridge')
    start(bridge, 'bridge', hosts[first!]!)
    for (const host of others) {
      ip('netns', 'add', name(host))
      ip('-n', bridge, 'link', 'add', host, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name(host))
      ip('-n', bridge, 'link', 'set', host, 'master', 'bridge', 'up')
      start(name(host), 'eth0', hosts[host]!)
    }
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer }
    if (code === 'ENOENT') return 'network namespaces need the command ip'
    const reason = String(stderr ?? '').trim()
    if (!/permi|denied|support|unknown device/i.test(reason)) throw error
    return `network namespaces are not permitted: ${reason}`
  }
  const on = (host: string) => ['ip', 'netns', 'exec', name(host)]
  return {
    on,
    spawn(host, command, args, options = {}) {
      const [ip, ...rest] = [...on(host), command, ...args]
      const child = spawn(ip!, rest, options)
      const ended = once(child, 'close')
      t.teardown(() => {
        child.kill('SIGKILL')
        return ended
      })
      return child
    },
  }
}

const ip = (...args: string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

function start(namespace: string, device: string, address: string): void {
  ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', device)
  for (const link of ['lo', device]) ip('-n', namespace, 'link', 'set', link, 'up')
}

/** Removes the namespaces of processes that are gone. */
function removeLeftovers(): void {
  const names = ip('netns', 'list').split('\n')
  removeAll(
    names.flatMap((line) => {
      const [name = ''] = line.split(' ')
      const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1]
      return pid !== undefined && !isAlive(Number(pid)) ? [name] : []
    }),
  )
}

/** Ends what still runs in the namespaces, too. */
function removeAll(namespaces: string[]): void {
  for (const namespace of namespaces) {
    try {
      const pids = ip('netns', 'pids', namespace).split('\n').filter(Boolean)
      for (const pid of pids) process.kill(Number(pid), 'SIGKILL')
    } catch {
      // The process or the namespace was never there, or is gone.
    }
    try {
      ip('netns', 'delete', namespace)
    } catch {
      // It was never there.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

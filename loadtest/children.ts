import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

/** A child process that serves HTTP. */
export interface ServingChild {
  url: string
  process: ChildProcess
  stop(): Promise<void>
}

/** Longest time until a child listens, and until it ends after SIGTERM, ms. */
const listenPatience = 20_000
const stopPatience = 5000

const running = new Set<ChildProcess>()
const groups = new Set<number>()
// Children end with this process.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  for (const leader of groups) signalGroup(leader, 'SIGKILL')
})

/** Starts a Node program and waits until it prints its address; its last lines explain a failure. */
export async function startServing(
  script: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  nodeArgs: string[] = [],
): Promise<ServingChild> {
  const child = spawn(process.execPath, [...nodeArgs, script, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  running.add(child)
  const exited = once(child, 'exit').then(() => running.delete(child))
  let output = ''
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`${script} ${why}:\n${output.slice(-2000)}`))
    const timer = setTimeout(() => fail('does not listen'), listenPatience)
    const read = (chunk: string) => {
      output += chunk
      const [, address] = /listening at (http:\/\/[^\s"]+)/.exec(output) ?? []
      if (address === undefined) return
      clearTimeout(timer)
      // Discards later output, so that it does not slow the generator.
      for (const stream of [child.stdout, child.stderr]) stream?.off('data', read).resume()
      resolve(address)
    }
    child.stdout?.setEncoding('utf8').on('data', read)
    child.stderr?.setEncoding('utf8').on('data', read)
    exited.then(() => {
      clearTimeout(timer)
      fail('ended before it listened')
    })
  })
  return {
    url,
    process: child,
    async stop() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), stopPatience)
      await exited
      clearTimeout(timer)
    },
  }
}

/** Any program that serves HTTP, with all its processes. */
export interface ServingGroup {
  /** Process id of its leader and of the group. */
  leader: number
  stop(): Promise<void>
}

export interface GroupOptions {
  command: string
  args: readonly string[]
  env: NodeJS.ProcessEnv
  folder: string
  /** Polled until it resolves with true; rejects while nothing listens. */
  ready: () => Promise<boolean>
  /** Longest time until it is ready, ms. */
  patience: number
}

/** Starts a program in its own process group and waits until it is ready; its last lines explain a failure. */
export async function startGroup({ command, args, env, folder, ready, patience }: GroupOptions): Promise<ServingGroup> {
  const child = spawn(command, args, { env, cwd: folder, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const read = (chunk: string) => {
    output = `${output}${chunk}`.slice(-4000)
  }
  child.stdout.setEncoding('utf8').on('data', read)
  child.stderr.setEncoding('utf8').on('data', read)
  let ended: string | undefined
  const exited = new Promise<void>((resolve) => {
    child.on('error', (error) => {
      ended = error.message
      resolve()
    })
    child.on('exit', (code, signal) => {
      ended = `ended with ${code ?? signal}`
      resolve()
    })
  })
  const leader = child.pid
  if (leader !== undefined) groups.add(leader)
  const stop = async () => {
    if (leader === undefined) return
    if (ended === undefined) {
      signalGroup(leader, 'SIGTERM')
      await Promise.race([exited, sleep(stopPatience, undefined, { ref: false })])
    }
    // Its children may outlive the leader.
    signalGroup(leader, 'SIGKILL')
    await exited
    groups.delete(leader)
  }
  const until = Date.now() + patience
  while (!(await ready().catch(() => false))) {
    if (ended === undefined && Date.now() < until) {
      await sleep(100)
      continue
    }
    await stop()
    throw new Error(`${command} ${ended ?? `is not ready after ${patience / 1000} s`}:\n${output.trim().slice(-2000)}`)
  }
  return { leader: leader!, stop }
}

function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal)
  } catch {
    // The group has ended.
  }
}

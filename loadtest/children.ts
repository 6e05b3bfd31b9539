import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

/** Longest time until a program ends after SIGTERM, ms. */
const stopPatience = 5000

const groups = new Set<number>()
// Groups end with this process.
process.on('exit', () => {
  for (const leader of groups) signalGroup(leader, 'SIGKILL')
})

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

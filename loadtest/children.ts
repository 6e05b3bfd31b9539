import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
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
  /** Exit code of the leader, or the signal that ended it. */
  ended: Promise<number | string>
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
  /** A file that its output is added to. */
  log?: string
}

/** Starts a program in its own process group and waits until it is ready; its last lines explain a failure. */
export async function startGroup(options: GroupOptions): Promise<ServingGroup> {
  const { command, args, env, folder, ready, patience, log } = options
  const output = log === undefined ? 'pipe' : openSync(log, 'a')
  const child = spawn(command, args, { env, cwd: folder, detached: true, stdio: ['ignore', output, output] })
  if (typeof output === 'number') closeSync(output)
  let written = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      written = `${written}${chunk}`.slice(-4000)
    })
  let why: string | undefined
  const ended = new Promise<number | string>((resolve) => {
    child.on('error', (error) => {
      why = error.message
      resolve(why)
    })
    child.on('exit', (code, signal) => {
      why = `ended with ${code ?? signal}`
      resolve(code ?? signal!)
    })
  })
  const leader = child.pid
  if (leader !== undefined) groups.add(leader)
  const stop = async () => {
    if (leader === undefined) return
    if (why === undefined) {
      signalGroup(leader, 'SIGTERM')
      await Promise.race([ended, sleep(stopPatience, undefined, { ref: false })])
    }
    // Its children may outlive the leader.
    signalGroup(leader, 'SIGKILL')
    await ended
    groups.delete(leader)
  }
  const until = Date.now() + patience
  while (!(await ready().catch(() => false))) {
    if (why === undefined && Date.now() < until) {
      await sleep(100)
      continue
    }
    await stop()
    const last = (log === undefined ? written : readFileSync(log, 'utf8')).trim().slice(-2000)
    throw new Error(`${command} ${why ?? `is not ready after ${patience / 1000} s`}:\n${last}`)
  }
  return { leader: leader!, ended, stop }
}

function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal)
  } catch {
    // The group has ended.
  }
}

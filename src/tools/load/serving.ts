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
/** Longest time for a server to load and warm up its models, ms. */
const readyPatience = 60_000

const running = new Set<ChildProcess>()
// Children end with this process.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * Starts a Node program and waits until it prints its address; its last lines explain a failure. `wrapper` is a command
 * that starts it, such as `taskset -c 0`.
 */
export async function startServing(
  script: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  nodeArgs: string[] = [],
  wrapper: readonly string[] = [],
): Promise<ServingChild> {
  const [command, ...rest] = [...wrapper, process.execPath, ...nodeArgs, script, ...args]
  const child = spawn(command!, rest, {
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

/** Reasons of a server that may still become ready. */
const loading = / is being |waiting to be loaded/

/** Waits until a server of multigate is ready, at most for `patience`, ms. */
export async function untilReady(base: string, patience = readyPatience): Promise<void> {
  const until = Date.now() + patience
  for (;;) {
    const left = AbortSignal.timeout(Math.max(1, until - Date.now()))
    const answer = await fetch(new URL('/readyz', base), { signal: left })
    const text = await answer.text()
    if (answer.status === 200) return
    if (Date.now() > until || !loading.test(text)) throw new Error(`the server does not become ready: ${text}`)
    await sleep(50)
  }
}

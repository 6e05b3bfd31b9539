import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** A child process that serves HTTP. */
export interface ServingChild {
  url: string
  process: ChildProcess
  stop(): Promise<void>
}

/** How long a child may take to listen, and to end after SIGTERM, ms. */
const patience = { listen: 20_000, stop: 5000 }

const running = new Set<ChildProcess>()
// Whatever ends this process, its children end too.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** Starts a Node program and waits until it writes the address that it listens at; its last lines explain a failure. */
export async function startServing(script: string, args: string[], env: NodeJS.ProcessEnv): Promise<ServingChild> {
  const child = spawn(process.execPath, [script, ...args], { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  running.add(child)
  const exited = once(child, 'exit').then(() => running.delete(child))
  let output = ''
  const url = await new Promise<string>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`${script} ${why}:\n${output.slice(-2000)}`))
    const timer = setTimeout(() => fail('does not listen'), patience.listen)
    const read = (chunk: string) => {
      output += chunk
      const [, address] = /listening at (http:\/\/[^\s"]+)/.exec(output) ?? []
      if (address === undefined) return
      clearTimeout(timer)
      // From now on what it writes is thrown away, unread: the generator has better things to do.
      for (const stream of [child.stdout, child.stderr]) stream?.off('data', read).resume()
      resolve(address)
    }
    child.stdout?.setEncoding('utf8').on('data', read)
    child.stderr?.setEncoding('utf8').on('data', read)
    exited.then(() => {
      clearTimeout(timer)
      fail('ended at once')
    })
  })
  return {
    url,
    process: child,
    async stop() {
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), patience.stop)
      await exited
      clearTimeout(timer)
    },
  }
}

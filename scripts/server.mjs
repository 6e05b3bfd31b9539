// A server of multigate that a script asks.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** Longest time until it has started, however busy the machine is, ms. */
const patience = 300_000

/**
 * Starts the built server of the working directory, or of `cwd`, on a free port. Resolves with its address once it
 * listens, and with `isReady` once it has loaded its models; rejects where it does not. `stop` kills it.
 */
export async function startServer(args, { isReady = false, cwd, env = process.env } = {}) {
  const server = spawn(process.execPath, ['dist/main.js', '--port', '0', ...args], {
    cwd,
    env: { ...env, MULTIGATE_LOG_LEVEL: 'info' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(server, 'exit')
  const stop = async () => {
    server.kill('SIGKILL')
    await ended
  }
  let url
  let hasStarted = false
  for await (const line of createInterface({ input: server.stdout, signal: AbortSignal.timeout(patience) })) {
    url ??= /listening at (http:\/\/[^\s"]+)/.exec(line)?.[1]
    hasStarted = isReady ? line.includes('"msg":"ready"') : url !== undefined
    if (hasStarted) break
  }
  if (!hasStarted) {
    await stop()
    throw new Error('the server did not start')
  }
  server.stdout.resume()
  return { url, stop }
}

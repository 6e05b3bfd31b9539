import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { run, whenReady } from './process.ts'
import { until } from './until.ts'

export interface Answer {
  status: number | undefined
  headers: Record<string, string | string[] | undefined>
  text: string
  /** Code of what broke the connection. */
  error: string | undefined
}

export interface Victim {
  port: number
  /** The text that it wrote to stderr: warnings above all. */
  stderr(): string
  /** Its log so far. */
  lines(): any[]
  alive(): boolean
  kill(signal: NodeJS.Signals): void
  ended: Promise<number | string>
  /** Sum of a metric's series whose line fits. */
  metric(name: string): Promise<number>
  /** Waits until nothing is queued, computed or received any more. */
  calm(): Promise<void>
}

/** The real process, ready, with these variables alone. */
export async function startVictim(t: Test, variables: Record<string, string>): Promise<Victim> {
  const cache = process.env.MULTIGATE_CACHE
  const server = run(
    t,
    { ...(cache !== undefined && { MULTIGATE_CACHE: cache }), MULTIGATE_WARM_UP_MS: '0', ...variables },
    ['--port', '0'],
    ['--trace-warnings'],
  )
  const port = await whenReady(server)
  const metric = async (name: string) => {
    const { text } = await send(port, '/metrics')
    return text
      .split('\n')
      .filter((line) => line.startsWith(name))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }
  const busy = ['multigate_queue_rows', 'multigate_in_flight_batches', 'multigate_pending_body_bytes']
  return {
    port,
    stderr: server.stderr,
    lines: server.lines,
    alive: () => server.child.exitCode === null && server.child.signalCode === null,
    kill: (signal) => server.child.kill(signal),
    ended: server.ended,
    metric,
    calm: () =>
      until(async () => {
        for (const name of busy) if ((await metric(name)) !== 0) return false
        return true
      }),
  }
}

export function send(
  port: number,
  path: string,
  payload?: string | Buffer,
  headers: Record<string, string> = {},
  agent?: Agent,
): Promise<Answer> {
  return new Promise((resolve) => {
    const body =
      payload === undefined
        ? {}
        : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(payload)) }
    const sent = request({
      port,
      path,
      method: payload === undefined ? 'GET' : 'POST',
      headers: { ...body, ...headers },
      ...(agent && { agent }),
    })
    const done = (answer: Partial<Answer>) =>
      resolve({ status: undefined, headers: {}, text: '', error: undefined, ...answer })
    const broken = (error: NodeJS.ErrnoException) => done({ error: error.code ?? error.message })
    sent.once('error', broken)
    sent.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part) => (text += part))
      response.once('error', broken)
      response.once('end', () => done({ status: response.statusCode, headers: response.headers, text }))
    })
    sent.end(payload)
  })
}

export interface RawClient {
  socket: Socket
  /** The text that has come back. */
  text(): string
  /** Resolves when the connection is closed, by whomever. */
  closed: Promise<unknown>
}

/** A connection that has sent this, whether it is HTTP or not. */
export function dial(port: number, ...parts: (string | Buffer)[]): RawClient {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.on('error', () => undefined)
  socket.on('data', (part) => (text += part.toString('latin1')))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  for (const part of parts) socket.write(part)
  return { socket, text: () => text, closed }
}

/** The head of a POST to /predict. */
export function head(...headers: string[]): string {
  return ['POST /predict HTTP/1.1', 'host: a', 'content-type: application/json', ...headers, '', ''].join('\r\n')
}

/**
 * Viewers of the live stream that read nothing. In the same piece each asks for documents before it: those fill the
 * buffers of the system, and the streams of some stay in the server. `counts`: of how many documents for each viewer.
 */
export function deafViewers(open: () => Socket, document: string, counts: readonly number[]): Socket[] {
  const ask = (path: string) => `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`
  return counts.map((count) => {
    const socket = open().on('error', () => undefined)
    socket.write(ask(document).repeat(count) + ask('/console/live'))
    return socket
  })
}

/** Resolves when the streams of some stay in the server. */
export async function startDeafViewers({ port, metric }: Pick<Victim, 'port' | 'metric'>): Promise<Socket[]> {
  // As many viewers as a process has, without one; documents of 230 kB.
  const counts = Array.from({ length: 31 }, (_, i) => i)
  const viewers = deafViewers(() => connect(port, '127.0.0.1'), '/docs/json', counts)
  await until(async () => (await metric('multigate_connections ')) > viewers.length)
  let unread = Number.NaN
  await until(async () => {
    const before = unread
    unread = await metric('multigate_pending_answer_bytes')
    return unread > 0 && unread === before
  })
  return viewers
}

/** A client that asks the same all the time, over one connection; `stop` answers what went wrong meanwhile. */
export async function wellBehaved(port: number, body: string): Promise<{ stop(): Promise<string[]> }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const ask = () => send(port, '/predict', body, { 'x-deadline-ms': '60000' }, agent)
  const right = predictionsOf(await ask())
  const wrong: string[] = []
  let over = false
  let asked = 0
  const loop = (async () => {
    while (!over) {
      const answer = await ask()
      asked++
      if (answer.status !== 200) wrong.push(answer.error ?? answer.text)
      else if (predictionsOf(answer) !== right) wrong.push(`another answer: ${answer.text}`)
      // Attackers and the server need the cores, too.
      await pause(10)
    }
  })()
  return {
    async stop() {
      over = true
      await loop
      agent.destroy()
      return asked > 0 ? wrong : ['it asked for nothing']
    },
  }
}

function predictionsOf({ text }: Answer): string {
  return JSON.stringify(JSON.parse(text).predictions)
}

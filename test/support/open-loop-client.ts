import { Agent, request } from 'node:http'

/*
 * An open-loop client: a process that sends a request every so often, whatever becomes of those before. Arguments: the
 * URL, the requests per second, and the bodies as JSON, which take turns. Prints a line of JSON for each request when
 * it is over. After SIGTERM it sends no more, and ends when all are over.
 */

/** A request, and what became of it. */
export interface Exchange {
  id: string
  /** Which body. */
  body: number
  /** Milliseconds since 1970. */
  sent: number
  received: number
  status?: number
  /** The id that the answer has. */
  answered?: string
  text?: string
  error?: string
}

const [url, rate, texts] = process.argv.slice(2) as [string, string, string]
const bodies = JSON.parse(texts) as string[]
const interval = 1000 / Number(rate)
const agent = new Agent({ keepAlive: true })
const started = performance.now()
let going = true
let count = 0
let open = 0

process.once('SIGTERM', () => {
  going = false
  end()
})

function send(n: number): void {
  const body = n % bodies.length
  const exchange: Exchange = { id: `r${n}`, body, sent: Date.now(), received: 0 }
  open++
  const done = (outcome: Partial<Exchange>) => {
    console.log(JSON.stringify({ ...exchange, ...outcome, received: Date.now() }))
    open--
    end()
  }
  const headers = {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(bodies[body]!),
    'x-request-id': exchange.id,
  }
  const sent = request(url, { method: 'POST', agent, headers })
  sent.once('error', ({ message }) => done({ error: message }))
  sent.once('response', (response) => {
    let text = ''
    response.setEncoding('utf8').on('data', (part) => (text += part))
    response.once('error', ({ message }) => done({ error: message }))
    response.once('end', () => {
      const answered = response.headers['x-request-id'] as string | undefined
      done({ ...(response.statusCode && { status: response.statusCode }), ...(answered && { answered }), text })
    })
  })
  sent.end(bodies[body])
}

function tick(): void {
  if (!going) return
  while (count * interval <= performance.now() - started) send(count++)
  setTimeout(tick, count * interval - (performance.now() - started))
}

function end(): void {
  if (!going && open === 0) agent.destroy()
}

tick()

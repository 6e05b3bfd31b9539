import { candidates, context } from '../clients.ts'

/** The bytes that every connection of hostile clients sends; none of them reads anything. */
export interface Behaviour {
  name: string
  /** Sent as soon as it is connected; the whole of it may be kept back by the server. */
  bytes: Buffer
}

const evaluation = '/models/ads-funnel/versions/1/evaluation'
const distributions = '/models/ads-funnel/versions/1/distributions'

const get = (path: string, ...headers: string[]) =>
  `GET ${path} HTTP/1.1\r\n${['host:a', ...headers].join('\r\n')}\r\n\r\n`

const post = (headers: readonly string[], body: string) =>
  `POST /predict HTTP/1.1\r\nhost:a\r\ncontent-type:application/json\r\nx-deadline-ms:600000\r\n${headers.join('\r\n')}\r\n\r\n${body}`

/** `count` headers, all different. */
const headers = (count: number) => Array.from({ length: count }, (_, i) => `name${i}:${i}\r\n`).join('')

const prediction = JSON.stringify({ model: 'ads-funnel', context, candidates: candidates(50) })

/** Pipelined requests in one piece, as one segment of a fast network brings them. */
const many = 40

const of = (name: string, text: string): Behaviour => ({ name, bytes: Buffer.from(text, 'latin1') })

export const behaviours: readonly Behaviour[] = [
  of('reports', get(evaluation).repeat(many)),
  of('reports, compressed', get(evaluation, 'accept-encoding:gzip').repeat(many)),
  of('distributions, compressed', get(distributions, 'accept-encoding:gzip').repeat(many)),
  of('files of the documentation', get('/docs/static/swagger-ui-bundle.js').repeat(many)),
  of('the OpenAPI document', get('/docs/json').repeat(many)),
  of('metrics', get('/metrics').repeat(many)),
  of('predictions', post([`content-length:${prediction.length}`], prediction).repeat(many)),
  of('probes, thousands in one piece', get('/livez').repeat(2000)),
  of('live figures', get('/console/live')),
  of('bodies without their end', post(['content-length:65536'], ' '.repeat(65_000))),
  of('bodies in chunks of one byte', post(['transfer-encoding:chunked'], '1\r\n \r\n'.repeat(20_000))),
  of('headers without their end', `GET / HTTP/1.1\r\nhost:a\r\n${headers(1000)}`),
  of('reports, with many headers', `GET ${evaluation} HTTP/1.1\r\nhost:a\r\n${headers(250)}\r\n`.repeat(many)),
]

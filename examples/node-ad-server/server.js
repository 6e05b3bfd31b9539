// A small ad server: GET /ads chooses ads for a visitor.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { rank } from './rank.js'

/** @type {import('./rank.js').Ad[]} */
const ads = JSON.parse(readFileSync(new URL('ads.json', import.meta.url), 'utf8'))

const server = createServer(async (request, response) => {
  const arrived = performance.now()
  const [path, query] = (request.url ?? '').split('?')
  if (request.method !== 'GET' || path !== '/ads') return send(404, { error: 'there is only GET /ads' })
  const values = new URLSearchParams(query)
  const country = values.get('country')
  const segment = values.get('segment')
  const hour = Number(values.get('hour') ?? new Date().getUTCHours())
  const timeout = Number(values.get('timeout_ms') ?? 60)
  if (!country || !segment) return send(400, { error: 'country and segment are required' })
  if (!Number.isInteger(hour) || hour < 0 || hour > 23) return send(400, { error: 'hour must be from 0 to 23' })
  if (!(timeout > 0 && timeout <= 10_000)) return send(400, { error: 'timeout_ms must be above 0 and at most 10000' })
  send(200, await rank({ country, segment, hour }, ads, { count: 2, deadline: arrived + timeout }))

  /**
   * @param {number} status
   * @param {object} body
   */
  function send(status, body) {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }
})

server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`listening at http://127.0.0.1:${port}`)
})
process.once('SIGTERM', () => server.close())

import { createServer } from 'node:http'

/*
 * What Node allows: a handler that parses the JSON of a request and sends one answer, and for refusals one that reads no body. Nothing
 * on Node's HTTP server can take less.
 */

const { PORT = '0', ANSWER = '{}', REFUSES = '' } = process.env
const refusal = JSON.stringify({ title: 'The server is overloaded', status: 429 })

const server = createServer((request, response) => {
  if (REFUSES !== '') {
    send(429, refusal)
    return
  }
  const pieces: Buffer[] = []
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.on('end', () => {
    JSON.parse(Buffer.concat(pieces).toString())
    send(200, ANSWER)
  })

  function send(status: number, body: string): void {
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
    response.end(body)
  }
})
server.listen(Number(PORT), '127.0.0.1')

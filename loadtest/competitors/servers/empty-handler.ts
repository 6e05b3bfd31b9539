import type { RequestListener, ServerResponse } from 'node:http'

/** The least work that Node's HTTP server allows: parses the JSON of a request, and sends this answer. */
export function emptyHandler(answer: string): RequestListener {
  return (request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      JSON.parse(Buffer.concat(pieces).toString())
      sendJson(response, 200, answer)
    })
  }
}

export function sendJson(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

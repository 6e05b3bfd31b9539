import { writePieces } from './write-pieces.ts'

/** A request without its first line: the same for every server that supports its form. */
export interface RequestContent {
  headers: Record<string, string>
  body: Buffer
}

/** A request with a body of JSON. */
export const jsonContent = (body: string): RequestContent => ({
  headers: { 'content-type': 'application/json' },
  body: Buffer.from(body),
})

/**
 * Requests in one file, for all generators and servers: for each request its length in bytes (uint32, little-endian),
 * then the request without its first line, whose path depends on the server.
 */
export async function writeRequests(
  file: string,
  requests: Iterable<RequestContent>,
): Promise<{ count: number; meanBytes: number }> {
  let count = 0
  let bytes = 0
  function* pieces(): Generator<Buffer> {
    for (const content of requests) {
      const rest = restOf(content)
      const length = Buffer.alloc(4)
      length.writeUInt32LE(rest.length)
      yield length
      yield rest
      count++
      bytes += content.body.length
    }
  }
  await writePieces(file, pieces())
  return { count, meanBytes: bytes / count }
}

/** The request without its first line. */
function restOf({ headers, body }: RequestContent): Buffer {
  const all = { host: 'localhost', ...headers, 'content-length': String(body.length) }
  return Buffer.concat([Buffer.from(`${linesOf(all)}\r\n`), body])
}

const linesOf = (headers: Record<string, string>) =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')

const firstLines = (path: string, headers: Record<string, string>) =>
  Buffer.from(`POST ${path} HTTP/1.1\r\n${linesOf(headers)}`)

/** A complete request. */
export const renderRequest = (path: string, content: RequestContent) =>
  Buffer.concat([firstLines(path, {}), restOf(content)])

/** Complete requests with these additional headers. */
export function readRequests(contents: Buffer, path: string, headers: Record<string, string>): Buffer[] {
  const first = firstLines(path, headers)
  return Array.from(rests(contents), (rest) => Buffer.concat([first, rest]))
}

/** Headers and bodies, for a generator that writes its own heads. */
export function readContents(contents: Buffer): RequestContent[] {
  return Array.from(rests(contents), (rest) => {
    const end = rest.indexOf('\r\n\r\n')
    const lines = rest.toString('latin1', 0, end).split('\r\n')
    const { host, 'content-length': length, ...headers } = Object.fromEntries(lines.map((line) => line.split(': ')))
    return { headers, body: rest.subarray(end + 4) }
  })
}

function* rests(contents: Buffer): Generator<Buffer> {
  for (let at = 0; at < contents.length; ) {
    const end = at + 4 + contents.readUInt32LE(at)
    yield contents.subarray(at + 4, end)
    at = end
  }
}

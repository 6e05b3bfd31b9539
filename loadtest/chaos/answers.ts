/** An answer on a connection. */
export interface HttpAnswer {
  status: number
  /** Names in lower case. */
  headers: ReadonlyMap<string, string>
  body: Buffer
}

/** Reads consecutive answers that have a Content-Length. */
export class AnswerStream {
  #bytes: Buffer = Buffer.alloc(0)

  /** Takes the next bytes; answers what is whole now. Throws where they are no HTTP. */
  take(chunk: Buffer): HttpAnswer[] {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    const answers: HttpAnswer[] = []
    for (let answer = this.#next(); answer !== undefined; answer = this.#next()) answers.push(answer)
    return answers
  }

  #next(): HttpAnswer | undefined {
    const end = this.#bytes.indexOf('\r\n\r\n')
    if (end < 0) return undefined
    const [statusLine = '', ...lines] = this.#bytes.toString('latin1', 0, end).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1])
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
      }),
    )
    const length = Number(headers.get('content-length'))
    if (Number.isNaN(status) || Number.isNaN(length)) throw new Error(`no answer: ${statusLine.slice(0, 100)}`)
    const start = end + 4
    if (this.#bytes.length < start + length) return undefined
    const body = Buffer.from(this.#bytes.subarray(start, start + length))
    this.#bytes = this.#bytes.subarray(start + length)
    return { status, headers, body }
  }
}

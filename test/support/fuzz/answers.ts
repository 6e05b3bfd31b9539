/*
 * Reads what came back over a connection, as strictly as HTTP/1.1 (RFC 9112) has it.
 */

export interface RawAnswer {
  status: number
  headers: Map<string, string>
  text: string
}

export interface RawAnswers {
  answers: RawAnswer[]
  /** The connection ended in the middle of one. */
  partial: boolean
  /** Why it is no HTTP. */
  fault?: string
}

/** `text` has a character for each byte. */
export function readAnswers(text: string): RawAnswers {
  const answers: RawAnswer[] = []
  let at = 0
  while (at < text.length) {
    const end = text.indexOf('\r\n\r\n', at)
    const head = text.slice(at, end < 0 ? text.length : end)
    if (end < 0) return { answers, partial: true, ...('HTTP/1.1 '.startsWith(head.slice(0, 9)) ? {} : faulty(head)) }
    const [statusLine = '', ...lines] = head.split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) [\t\x20-\x7e]*$/.exec(statusLine)?.[1])
    if (Number.isNaN(status)) return { answers, partial: false, ...faulty(statusLine) }
    const headers = new Map<string, string>()
    for (const line of lines) {
      const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/.exec(line) ?? []
      if (name === undefined) return { answers, partial: false, ...faulty(line) }
      headers.set(name.toLowerCase(), value!)
    }
    const body = readBody(text, end + 4, status, headers)
    if (typeof body === 'string') return { answers, partial: false, fault: body }
    if (body === undefined) return { answers, partial: true }
    at = body.end
    const answer = { status, headers, text: body.text }
    const fault = faultOf(answer)
    if (fault !== undefined) return { answers, partial: false, fault }
    answers.push(answer)
  }
  return { answers, partial: false }
}

const faulty = (part: string) => ({ fault: `no HTTP: ${JSON.stringify(part.slice(0, 100))}` })

/** A body and where it ends; undefined where it isn't whole, a text where it is wrong. */
function readBody(text: string, start: number, status: number, headers: Map<string, string>) {
  const length = headers.get('content-length')
  const coding = headers.get('transfer-encoding')
  if (status < 200 || status === 204 || status === 304) return { text: '', end: start }
  if (coding === 'chunked' && length === undefined) return readChunks(text, start)
  if (coding !== undefined || !/^\d+$/.test(length ?? '')) return `an answer of length ${length}, coding ${coding}`
  const end = start + Number(length)
  return end > text.length ? undefined : { text: text.slice(start, end), end }
}

function readChunks(text: string, start: number) {
  const parts: string[] = []
  for (let at = start; ; ) {
    const line = text.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = text.slice(at, line)
    if (!/^[0-9a-f]+$/i.test(size)) return `a chunk of size ${JSON.stringify(size.slice(0, 20))}`
    const end = line + 2 + Number.parseInt(size, 16)
    if (end + 2 > text.length) return undefined
    if (text.slice(end, end + 2) !== '\r\n') return 'a chunk without its end'
    parts.push(text.slice(line + 2, end))
    at = end + 2
    if (size === '0') return { text: parts.join(''), end: at }
  }
}

/** A fault that no answer may have: JSON that isn't, or a problem with another status. */
function faultOf({ status, headers, text }: RawAnswer): string | undefined {
  const type = headers.get('content-type') ?? ''
  if (!/json/.test(type) || headers.has('inference-header-content-length') || headers.has('content-encoding'))
    return undefined
  try {
    const value = JSON.parse(text)
    if (/problem/.test(type) && value.status !== status) return `a problem of status ${value.status} answered ${status}`
    if (status >= 400 && typeof (value.detail ?? value.error ?? value.reasons) === 'undefined')
      return `no reason: ${text}`
  } catch {
    return `no JSON: ${JSON.stringify(text.slice(0, 100))}`
  }
  return undefined
}

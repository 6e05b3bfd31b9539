import { randomUUID } from 'node:crypto'
import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { ProblemDetails } from '../../schemas/problem.ts'
import { lingeringClose } from '../overload/lingering-close.ts'
import { problemDetails } from './problem-details.ts'

/** Connections on which nothing more can be read. */
const unreadable = new WeakSet<Socket>()

/**
 * Answers what is no HTTP, has too large headers, or doesn't arrive in time, and closes the connection: nothing is
 * known of such a request but its connection. Earlier requests of that are answered first, each in its turn.
 */
export function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || unreadable.has(socket)) return
  unreadable.add(socket)
  inTurn(socket, (answer) => {
    if (!answer?.headersSent) socket.write(refusalOf(error.code))
    lingeringClose(socket)
  })
}

/** Waits until complete requests are answered; `refuse` is given the answer to one that is not, if there is one. */
export function inTurn(socket: Socket, refuse: (answer: ServerResponse | null | undefined) => void): void {
  const settle = () => {
    // An answer before has ended the connection.
    if (!socket.writable) return
    // Node's own name for the answer whose turn it is: there is no other.
    const { _httpMessage: answer } = socket as Socket & { _httpMessage?: ServerResponse | null }
    if (answer?.req.complete) answer.once('finish', settle)
    else refuse(answer)
  }
  settle()
}

function refusalOf(code: string | undefined): string {
  const detail = details[code ?? ''] ?? 'The request is not HTTP/1.1 as it should be'
  return written(problemDetails('INVALID_REQUEST', detail, randomUUID(), { errors: [{ path: '', message: detail }] }))
}

/** A refusal as it goes over the wire. */
export function written(problem: ProblemDetails, more: string[] = []): string {
  const body = JSON.stringify(problem)
  return [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'content-type: application/problem+json',
    `x-request-id: ${problem.request_id}`,
    ...more,
    'connection: close',
    '',
    body,
  ].join('\r\n')
}

const details: Record<string, string> = {
  HPE_HEADER_OVERFLOW: 'The request has larger headers than are read',
  ERR_HTTP_REQUEST_TIMEOUT: 'The request took too long to arrive',
}

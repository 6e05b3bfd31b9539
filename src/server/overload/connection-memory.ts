import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Holder, PendingBytes } from './pending-bytes.ts'

export interface ConnectionMemoryOptions {
  answers: PendingBytes
  /** A connection was closed because it held most of what clients don't read. */
  onGivenUp(): void
}

/**
 * Memory that each connection makes this process hold: a response that its client has yet to read, and requests behind
 * it.
 */
const holders = new WeakMap<Socket, Holder>()

/** The memory of a connection is given back when it closes, whatever becomes of its responses. */
function holderOf(socket: Socket, { answers, onGivenUp }: ConnectionMemoryOptions): Holder {
  const known = holders.get(socket)
  if (known !== undefined) return known
  const giveUp = () => {
    onGivenUp()
    socket.destroy()
  }
  const holder = answers.open(giveUp, () => socket.bytesWritten - socket.writableLength)
  holders.set(socket, holder)
  socket.once('close', () => holder.close())
  return holder
}

/**
 * Most memory that a request takes, bytes: objects of Node and of Fastify, and each header, as strings and in two
 * collections. Measured: 3 kB, and 150 bytes for each header.
 */
const bytesOfRequest = 8192
const bytesOfHeader = 128

/** Memory of a request while it waits, bytes. */
export function requestBytes({ rawHeaders }: IncomingMessage): number {
  let bytes = bytesOfRequest
  for (const text of rawHeaders) bytes += bytesOfHeader / 2 + text.length
  return bytes
}

/** Counts a request of a connection until it is the turn of its answer to be sent. */
export function countWaiting(answer: ServerResponse, socket: Socket, options: ConnectionMemoryOptions): void {
  const holder = holderOf(socket, options)
  const bytes = requestBytes(answer.req)
  answer.once('socket', () => holder.add(-bytes))
  holder.add(bytes)
}

/** Counts a response that takes `bytes` bytes, and its request, until its client has taken it. */
export function countUnread(
  answer: ServerResponse,
  socket: Socket,
  bytes: number,
  options: ConnectionMemoryOptions,
): void {
  // Nothing is kept of a connection that has been closed: neither it nor the response closes once more.
  if (socket.destroyed || answer.destroyed) return
  const holder = holderOf(socket, options)
  const all = bytes + requestBytes(answer.req)
  answer.once('close', () => holder.add(-all))
  holder.add(all)
}

import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Holder, PendingBytes } from './pending-bytes.ts'

export interface ConnectionMemoryOptions {
  answers: PendingBytes
  /** A connection was closed because it held most of what clients don't read. */
  onGivenUp(): void
}

/** What each connection makes this process hold: a response that its client has yet to read, and requests behind it. */
const holders = new WeakMap<Socket, Holder>()

/** What a connection holds is given back when it closes, whatever becomes of its responses. */
function holderOf(socket: Socket, { answers, onGivenUp }: ConnectionMemoryOptions): Holder {
  const known = holders.get(socket)
  if (known !== undefined) return known
  const holder = answers.open(() => {
    onGivenUp()
    socket.destroy()
  })
  holders.set(socket, holder)
  socket.once('close', () => holder.close())
  return holder
}

/** Counts bytes that a connection holds until it is the turn of `answer` to be sent. */
export function countWaiting(
  answer: ServerResponse,
  socket: Socket,
  bytes: number,
  options: ConnectionMemoryOptions,
): void {
  const holder = holderOf(socket, options)
  answer.once('socket', () => holder.add(-bytes))
  holder.add(bytes)
}

/** Counts a response of `bytes` bytes until its client has taken it. */
export function countUnread(
  answer: ServerResponse,
  socket: Socket,
  bytes: number,
  options: ConnectionMemoryOptions,
): void {
  // Of a connection that has been closed nothing is kept: neither it nor the response closes once more.
  if (socket.destroyed || answer.destroyed || bytes === 0) return
  const holder = holderOf(socket, options)
  answer.once('close', () => holder.add(-bytes))
  holder.add(bytes)
}

import { connect, type Socket } from 'node:net'
import { until } from '../until.ts'
import { readAnswers } from './answers.ts'
import type { Case } from './cases.ts'

/** The outcome of a case. */
export interface Outcome {
  case: Case
  /** The text that has come back, a character for each byte. */
  text(): string
  /** Code of what broke the connection. */
  error(): string | undefined
  /** Closes a connection that is held open. */
  release(): Promise<void>
}

/** Turns of the event loop that a client waits for the system to take what it sends, where nothing is read of it. */
const patience = 2000

/** A connection to a port of this machine. */
export type Dial = (port: number) => Socket

const dialPlain: Dial = (port) => connect(port, '127.0.0.1')

/** Sends a case; resolves when its connection has ended, or is held open with everything sent. */
export async function play(port: number, one: Case, dial = dialPlain): Promise<Outcome> {
  const socket = dial(port)
  let text = ''
  let error: string | undefined
  socket.on('error', (reason: NodeJS.ErrnoException) => (error ??= reason.code ?? reason.message))
  if (one.ask !== 'unread') socket.on('data', (part) => (text += part.toString('latin1')))
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  await deliver(socket, one)
  if (one.cut === 'rst') socket.resetAndDestroy()
  // A socket that isn't read doesn't learn of its end.
  else if (one.cut === 'fin') one.ask === 'unread' ? socket.destroy() : socket.end()
  if (one.cut !== 'none' || one.complete) await closed
  return {
    case: one,
    text: () => text,
    error: () => error,
    release: () => {
      socket.destroy()
      return closed
    },
  }
}

async function deliver(socket: Socket, { wire, at, cut, pieces }: Case): Promise<void> {
  const sent = cut === 'none' ? wire : wire.subarray(0, Math.round(at * wire.length))
  const size = Math.max(1, Math.ceil(sent.length / pieces))
  for (let start = 0; start < sent.length && !socket.destroyed; start += size) {
    let turns = 0
    let flushed = false
    socket.write(sent.subarray(start, start + size), () => (flushed = true))
    await until(() => flushed || socket.destroyed || (!socket.connecting && ++turns > patience))
  }
}

/** The fault of what came back; undefined if it has none. */
export function faultOf({ case: one, text, error }: Outcome, crowded: boolean): string | undefined {
  const { answers, partial, fault } = readAnswers(text())
  if (fault !== undefined) return fault
  // A client that sends on to a server that has refused it and closed is reset, and may lose the answer.
  const reset = error() !== undefined
  const asked = answers.slice(0, one.asked)
  const allowed = [...one.statuses, ...(crowded ? [429] : [])]
  if (one.complete && answers.some(({ text }) => /took too long to arrive/.test(text))) return 'it waits for more'
  const odd = asked.find(({ status }) => !allowed.includes(status))
  if (odd !== undefined) return `${odd.status}, not ${allowed.join(' or ')}: ${odd.text.slice(0, 300)}`
  if (!one.complete) return undefined
  const unclear = asked.find(({ status, text }) => status === 400 && one.refusal && !one.refusal.test(text))
  if (unclear !== undefined) return `refused by another reason than ${one.refusal}: ${unclear.text.slice(0, 300)}`
  if (reset) return undefined
  if (partial) return 'the connection was closed in the middle of an answer'
  const last = answers.at(-1)
  if (last?.headers.get('connection') !== 'close') return `it was closed after ${answers.length} answers`
  if (answers.length === one.asked + 1 && last.status !== 200) return `the next request was answered by ${last.status}`
  return answers.length > one.asked + 1 ? `${answers.length} answers to ${one.asked + 1} requests` : undefined
}

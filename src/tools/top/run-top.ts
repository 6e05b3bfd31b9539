import { readFile } from 'node:fs/promises'
import { hideCredentials } from '../../base/address-credentials.ts'
import { ModelError } from '../../base/errors.ts'
import { fileProblem } from '../../base/files.ts'
import { draw, type View } from './draw.ts'
import { followLive, type LiveEvent, type ShownUpdate } from './follow-live.ts'
import { Screen, type ScreenInput, type ScreenOutput } from './screen.ts'

export interface TopOptions {
  url: string
  keyFile?: string
  once?: true
  json?: true
}

export interface TopTerminal {
  out: ScreenOutput & { isTTY?: boolean }
  err: { write(text: string): unknown }
  input: ScreenInput & { isTTY?: boolean }
  env: Readonly<Record<string, string | undefined>>
}

/** Shows the live figures of a service until `signal` or the reader ends it; once, where the output is no terminal. */
export async function runTop(options: TopOptions, terminal: TopTerminal, signal: AbortSignal): Promise<void> {
  const { out, input, env } = terminal
  const key = await readKey(options, env)
  const { url, json } = options
  const once = options.once ?? (!json && !(out.isTTY && input.isTTY))
  if (once) return printOnce({ url, key, json }, terminal, signal)
  if (json) return printLines({ url, key }, terminal, signal)
  const quit = new AbortController()
  const screen = new Screen({ out, input, colours: !env.NO_COLOR, onQuit: () => quit.abort() })
  const shown = hideCredentials(url)
  try {
    let view: View = { url: shown, update: undefined, problem: undefined }
    screen.show(draw(view))
    for await (const event of followLive({ url, key, signal: AbortSignal.any([signal, quit.signal]) })) {
      view =
        'update' in event
          ? { url: shown, update: event.update, problem: undefined }
          : { ...view, problem: eventProblem(event) }
      screen.show(draw(view))
    }
  } finally {
    screen.close()
  }
}

interface Asked {
  url: string
  key: string | undefined
}

async function printOnce(
  { url, key, json }: Asked & { json: true | undefined },
  { out }: TopTerminal,
  signal: AbortSignal,
) {
  const done = new AbortController()
  const shown = hideCredentials(url)
  for await (const event of followLive({ url, key, signal: AbortSignal.any([signal, done.signal]) })) {
    if ('lost' in event) throw new Error(`${shown} can't be asked: ${event.lost}`)
    if ('unreadable' in event) throw new Error(`${shown} sends figures that can't be read: ${event.unreadable}`)
    const { update } = event
    const lines = draw({ url: shown, update, problem: undefined })
    out.write(json ? lineOf(update) : `${lines.map(({ text }) => text).join('\n')}\n`)
    done.abort()
    return
  }
}

async function printLines({ url, key }: Asked, { out, err }: TopTerminal, signal: AbortSignal) {
  for await (const event of followLive({ url, key, signal })) {
    if ('update' in event) out.write(lineOf(event.update))
    else err.write(`${eventProblem(event)}\n`)
  }
}

function eventProblem(event: Exclude<LiveEvent, { update: unknown }>): string {
  if ('lost' in event) return `No answer, trying again: ${event.lost}`
  return `The service sent figures that can't be read: ${event.unreadable}`
}

/** The newest sample with the models and processes of its interval. */
function lineOf({ fine, models, processes }: ShownUpdate): string {
  return `${JSON.stringify({ ...fine.at(-1), models, processes })}\n`
}

async function readKey({ keyFile }: TopOptions, { MULTIGATE_KEY }: TopTerminal['env']): Promise<string | undefined> {
  if (keyFile === undefined) return MULTIGATE_KEY || undefined
  const text = await readFile(keyFile, 'utf8').catch((cause) => {
    throw new ModelError('INVALID_REQUEST', `${keyFile} ${fileProblem(cause)}`, { cause })
  })
  return text.trim()
}

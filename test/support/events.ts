import { EventSourceParserStream } from 'eventsource-parser/stream'
import type { Test } from 'tap'

export interface ServerEvent {
  event: string
  data: any
}

/** Server-sent events of an answer, as they come. */
export async function* eventsOf(answer: Response): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>
  const text = answer.body!.pipeThrough(decoder)
  for await (const { event, data } of text.pipeThrough(new EventSourceParserStream()))
    yield { event: event ?? '', data: JSON.parse(data) }
}

/** Follows the live stream of the console until the test ends; `seen` grows. */
export async function watchLive(t: Test, port: number, headers: Record<string, string> = {}) {
  const controller = new AbortController()
  const answer = await fetch(`http://127.0.0.1:${port}/console/live`, { headers, signal: controller.signal })
  const seen: ServerEvent[] = []
  let over = false
  const following = (async () => {
    for await (const event of eventsOf(answer)) seen.push(event)
  })()
    .catch(() => undefined)
    .finally(() => {
      over = true
    })
  const leave = () => {
    controller.abort()
    return following
  }
  t.teardown(leave)
  const samples = () => seen.filter(({ event }) => event === 'sample').map(({ data }) => data)
  const sum = (read: (sample: any) => number) =>
    samples()
      .flatMap(({ fine }) => fine)
      .reduce((total, sample) => total + read(sample) * sample.seconds, 0)
  const happened = () => seen.flatMap(({ data }) => data.events ?? [])
  return { answer, seen, samples, sum, happened, leave, over: () => over }
}

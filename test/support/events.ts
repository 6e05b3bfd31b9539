import { EventSourceParserStream } from 'eventsource-parser/stream'

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

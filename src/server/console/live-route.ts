import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { ModelError } from '../../model/base/errors.ts'
import type { LiveHistory, LiveUpdate } from '../../schemas/live.ts'
import { component } from '../plugins/openapi-components.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import type { ServerContext } from '../request/context.ts'
import type { LiveSource } from '../request/live-source.ts'

/** Most open streams of a process: further ones are refused. */
const mostViewers = 32

/** Bytes that wait for one viewer at most: one that reads slower is disconnected, and comes back. */
const mostUnread = 1024 * 1024

/** `GET /console/live`: a stream of server-sent events. Each is computed and written as text once, for all viewers. */
export async function liveRoute(
  app: FastifyInstance,
  { context, source }: { context: Pick<ServerContext, 'drain'>; source: LiveSource },
): Promise<void> {
  const viewers = new Set<ServerResponse>()
  let timer: NodeJS.Timeout | undefined
  let lastAt = 0

  async function send(): Promise<void> {
    if (context.drain.draining) for (const viewer of viewers) viewer.end('event: bye\ndata: {}\n\n')
    const update = await source.latest(lastAt)
    // A comment keeps proxies from closing a stream that is quiet.
    let text = ': nothing new\n\n'
    if (update !== undefined) {
      lastAt = update.fine.at(-1)!.at
      text = event('sample', update)
    }
    for (const viewer of viewers) {
      if (viewer.writableLength > mostUnread) viewer.destroy()
      else viewer.write(text)
    }
  }

  function leave(viewer: ServerResponse): void {
    viewers.delete(viewer)
    if (viewers.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  app.addHook('preClose', async () => {
    for (const viewer of viewers) viewer.end()
  })

  app.route({
    method: 'GET',
    url: '/console/live',
    schema: {
      operationId: 'liveStream',
      tags: ['operation'],
      summary:
        'What the console shows: server-sent events, `history` (LiveHistory) first, then `sample` (LiveUpdate) each second',
      response: {
        200: {
          description: 'The stream, until it is closed',
          content: {
            'text/event-stream': {
              // The data of each event.
              schema: { anyOf: [component('LiveHistory'), component('LiveUpdate')] },
              examples: { history: { value: { at: 0, clock: 0, events: [], fine: [], coarse: [] } } },
            },
          },
        },
        ...problemResponses('UNAUTHORIZED', 'FORBIDDEN', 'QUEUE_FULL', 'RATE_LIMITED', 'INTERNAL', 'DRAINING'),
      },
    },
    handler: async (request, reply) => {
      if (context.drain.draining) throw new ModelError('DRAINING', 'The server is shutting down')
      if (viewers.size >= mostViewers)
        throw new ModelError('QUEUE_FULL', `${mostViewers} live streams are open, as many as this process serves`)
      const history = await source.history()
      reply.hijack()
      const viewer = reply.raw
      viewer.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        // nginx would keep events back.
        'x-accel-buffering': 'no',
        'x-request-id': request.id,
      })
      viewer.write(`retry: 1000\n${event('history', history)}`)
      viewer.once('close', () => leave(viewer))
      viewers.add(viewer)
      if (timer === undefined) {
        lastAt = history.fine.at(-1)?.at ?? lastAt
        timer = setInterval(() => send().catch((error) => app.log.error({ err: error }, 'live stream')), 1000)
      }
      return reply
    },
  })
}

function event(name: 'history' | 'sample', data: LiveHistory | LiveUpdate): string {
  return `event: ${name}\ndata: ${JSON.stringify(data, rounded)}\n\n`
}

/** Four digits are what a chart shows. */
function rounded(_key: string, value: unknown): unknown {
  if (typeof value !== 'number' || Number.isInteger(value)) return value
  return Number(value.toPrecision(4))
}

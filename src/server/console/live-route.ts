import type { FastifyInstance } from 'fastify'
import { ModelError } from '../../base/errors.ts'
import type { LiveHistory, LiveUpdate } from '../../schemas/live-figures.ts'
import { component } from '../plugins/openapi-components.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import type { LiveSource, ServerContext } from '../request/context.ts'
import { keyOfRequest } from '../security/guarded.ts'
import { Viewer, type ViewerOptions } from './viewer.ts'

/** Most open streams of a process. */
const mostViewers = 32

const headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // nginx would keep events back.
  'x-accel-buffering': 'no',
}

const emptyHistory = { at: 0, clock: 0, events: [], fine: [], coarse: [] } satisfies LiveHistory

const schema = {
  operationId: 'liveStream',
  tags: ['operation'],
  summary: 'Stream what the console shows, as server-sent events',
  description:
    '`history` first, then `sample` each second, or a comment where nothing is new; `bye` if the server shuts down. ' +
    'Their data are LiveHistory, LiveUpdate and an empty object, as JSON.',
  response: {
    200: {
      description: 'The stream, until it is closed',
      content: {
        'text/event-stream': {
          // Before OpenAPI 3.2 it is the schema of each event.
          schema: {
            type: 'object',
            description: 'One event',
            properties: {
              event: { type: 'string', enum: ['history', 'sample', 'bye'] },
              data: {
                type: 'string',
                contentMediaType: 'application/json',
                contentSchema: {
                  anyOf: [component('LiveHistory'), component('LiveUpdate'), { type: 'object', maxProperties: 0 }],
                },
              },
              retry: { type: 'integer', description: 'With the first event: when to reconnect after a break, ms' },
            },
            required: ['event', 'data'],
          },
          examples: { history: { value: { event: 'history', data: JSON.stringify(emptyHistory), retry: 1000 } } },
        },
      },
    },
    ...problemResponses('UNAUTHORIZED', 'FORBIDDEN', 'QUEUE_FULL', 'RATE_LIMITED', 'INTERNAL', 'DRAINING'),
  },
}

/** `GET /console/live`: a stream of server-sent events. Each is computed and written as text once, for all viewers. */
export async function liveRoute(
  app: FastifyInstance,
  { context, source }: { context: Pick<ServerContext, 'drain' | 'guard' | 'clock'>; source: LiveSource },
): Promise<void> {
  const viewers = new Set<Viewer>()
  let stopSending: (() => void) | undefined
  let lastAt = 0
  let sending = false
  let closing = false

  async function send(): Promise<void> {
    // A reading may take longer than a second.
    if (sending) return
    sending = true
    try {
      for (const viewer of viewers) {
        // Its client has had a second to take its end.
        if (viewer.ending) viewer.destroy()
        else if (isStopping()) viewer.end('event: bye\ndata: {}\n\n')
        // Revoked or expired meanwhile: who comes again gets 401.
        else if (viewer.key !== undefined && !context.guard?.isOpen(viewer.key, 'metrics')) viewer.end()
      }
      const update = await source.latest(lastAt)
      lastAt = update?.fine.at(-1)?.at ?? lastAt
      // A comment keeps proxies from closing a stream that is quiet.
      const text = update === undefined ? ': nothing new\n\n' : event('sample', update)
      for (const viewer of viewers) viewer.write(text)
    } catch (error) {
      app.log.error({ err: error }, 'live stream')
    } finally {
      sending = false
    }
  }

  const isStopping = () => closing || context.drain.draining

  /** Takes a place until the connection closes: before anything is waited for, since the client may leave meanwhile. */
  function enter(options: Omit<ViewerOptions, 'onLeave'>): Viewer {
    if (viewers.size >= mostViewers) makeRoom(viewers, options.client)
    const viewer: Viewer = new Viewer({ ...options, onLeave: () => leave(viewer) })
    viewers.add(viewer)
    return viewer
  }

  function leave(viewer: Viewer): void {
    viewers.delete(viewer)
    if (viewers.size > 0) return
    stopSending?.()
    stopSending = undefined
  }

  function start(viewer: Viewer, history: LiveHistory, id: string): void {
    viewer.start({ ...headers, 'x-request-id': id }, `retry: 1000\n${event('history', history)}`)
    if (stopSending !== undefined) return
    lastAt = history.fine.at(-1)?.at ?? lastAt
    sendEachSecond()
  }

  function sendEachSecond(): void {
    stopSending = context.clock.after(1000, sendEachSecond)
    send()
  }

  app.addHook('preClose', async () => {
    closing = true
    for (const viewer of viewers) viewer.end()
  })

  app.route({
    method: 'GET',
    url: '/console/live',
    schema,
    handler: async (request, reply) => {
      // The headers alone; no stream, which would have no end.
      if (request.method === 'HEAD') return reply.headers(headers).send()
      if (isStopping()) throw stopping()
      const { socket } = request.raw
      if (socket.destroyed) throw gone()
      const key = context.guard && keyOfRequest(request)
      const viewer = enter({ response: reply.raw, socket, client: key?.id ?? request.ip, key })
      try {
        const history = await source.history()
        if (socket.destroyed) throw gone()
        if (isStopping()) throw stopping()
        if (!viewers.has(viewer)) throw full()
        reply.hijack()
        start(viewer, history, request.id)
      } catch (error) {
        leave(viewer)
        throw error
      }
      return reply
    },
  })
}

function makeRoom(viewers: Iterable<Viewer>, client: string): void {
  const viewer = viewerToEnd(viewers, client)
  if (viewer === undefined) throw full()
  viewer.giveUp()
}

/**
 * Who makes room for a client: the newest viewer of the one that has most, so that none keeps out others. Undefined
 * where that would leave it with fewer than the one that comes: clients that come back again and again end no streams
 * of each other.
 */
function viewerToEnd(viewers: Iterable<Viewer>, client: string): Viewer | undefined {
  const byClient = new Map<string, Viewer[]>([[client, []]])
  for (const viewer of viewers) byClient.set(viewer.client, [...(byClient.get(viewer.client) ?? []), viewer])
  const most = [...byClient.values()].reduce((a, b) => (b.length > a.length ? b : a))
  return most.length - 1 > byClient.get(client)!.length ? most.at(-1) : undefined
}

function stopping(): ModelError {
  return new ModelError('DRAINING', 'The server is shutting down')
}

function gone(): ModelError {
  return new ModelError('CANCELLED', 'The client went away')
}

function full(): ModelError {
  return new ModelError('QUEUE_FULL', `${mostViewers} live streams are open, as many as this process serves`)
}

function event(name: 'history' | 'sample', data: LiveHistory | LiveUpdate): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}

import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { ModelError } from '../../model/base/errors.ts'
import type { LiveHistory, LiveUpdate } from '../../schemas/live.ts'
import { component } from '../plugins/openapi-components.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import type { ServerContext } from '../request/context.ts'
import type { LiveSource } from '../request/live-source.ts'
import { keyOf } from '../security/guarded.ts'
import type { Key } from '../security/keyring.ts'

/** Most open streams of a process. */
const mostViewers = 32

/** Bytes that wait for one viewer at most: one that reads slower is disconnected, and comes back. */
const mostUnread = 1024 * 1024

const headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // nginx would keep events back.
  'x-accel-buffering': 'no',
}

const schema = {
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
}

interface Viewer {
  response: ServerResponse
  /** Who watches: the id of a key, else an address. */
  client: string
  /** Undefined where no key is asked for. */
  key: Key | undefined
  /** It has got its history. */
  started: boolean
}

/** `GET /console/live`: a stream of server-sent events. Each is computed and written as text once, for all viewers. */
export async function liveRoute(
  app: FastifyInstance,
  { context, source }: { context: Pick<ServerContext, 'drain' | 'access'>; source: LiveSource },
): Promise<void> {
  const viewers = new Set<Viewer>()
  let timer: NodeJS.Timeout | undefined
  let lastAt = 0
  let sending = false

  async function send(): Promise<void> {
    // A reading may take longer than a second.
    if (sending) return
    sending = true
    try {
      if (context.drain.draining) for (const { response } of viewers) response.end('event: bye\ndata: {}\n\n')
      const update = await source.latest(lastAt)
      lastAt = update?.fine.at(-1)?.at ?? lastAt
      // A comment keeps proxies from closing a stream that is quiet.
      const text = update === undefined ? ': nothing new\n\n' : event('sample', update)
      for (const viewer of viewers) write(viewer, text, context.access)
    } catch (error) {
      app.log.error({ err: error }, 'live stream')
    } finally {
      sending = false
    }
  }

  /** Takes a place until the connection closes: before anything is waited for, since the client may leave meanwhile. */
  function enter(response: ServerResponse, client: string, key: Key | undefined): Viewer {
    if (viewers.size >= mostViewers) makeRoom(client)
    const viewer = { response, client, key, started: false }
    viewers.add(viewer)
    response.once('close', () => leave(viewer))
    return viewer
  }

  function leave(viewer: Viewer): void {
    viewers.delete(viewer)
    if (viewers.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  function makeRoom(client: string): void {
    const viewer = viewerToEnd(viewers, client)
    if (viewer === undefined) throw full()
    leave(viewer)
    if (viewer.response.writableLength > 0) viewer.response.destroy()
    else if (viewer.started) viewer.response.end()
  }

  function start(viewer: Viewer, history: LiveHistory, id: string): void {
    const { response } = viewer
    response.writeHead(200, { ...headers, 'x-request-id': id })
    response.write(`retry: 1000\n${event('history', history)}`)
    viewer.started = true
    if (timer !== undefined) return
    lastAt = history.fine.at(-1)?.at ?? lastAt
    send()
    timer = setInterval(send, 1000)
  }

  app.addHook('preClose', async () => {
    for (const { response } of viewers) response.end()
  })

  app.route({
    method: 'GET',
    url: '/console/live',
    schema,
    handler: async (request, reply) => {
      // The headers alone; no stream, which would have no end.
      if (request.method === 'HEAD') return reply.headers(headers).send()
      if (context.drain.draining) throw new ModelError('DRAINING', 'The server is shutting down')
      if (request.raw.socket.destroyed) throw new ModelError('CANCELLED', 'The client went away')
      const key = context.access && keyOf(request)
      const viewer = enter(reply.raw, key?.id ?? request.ip, key)
      try {
        const history = await source.history()
        if (!viewers.has(viewer) && !reply.raw.destroyed) throw full()
        reply.hijack()
        if (viewers.has(viewer)) start(viewer, history, request.id)
      } catch (error) {
        leave(viewer)
        throw error
      }
      return reply
    },
  })
}

function write({ response, key, started }: Viewer, text: string, access: ServerContext['access']): void {
  if (!started) return
  if (response.writableLength > mostUnread) response.destroy()
  // Revoked or expired meanwhile: who comes again gets 401.
  else if (key !== undefined && !access?.guard.isOpen(key, 'metrics')) response.end()
  else response.write(text)
}

/**
 * Who makes room for a client: the newest viewer of the one that has most, so that none keeps out others. Undefined where that
 * would leave it with fewer than the one that comes: clients that come back again and again end no streams of each other.
 */
function viewerToEnd(viewers: Iterable<Viewer>, client: string): Viewer | undefined {
  const byClient = new Map<string, Viewer[]>([[client, []]])
  for (const viewer of viewers) byClient.set(viewer.client, [...(byClient.get(viewer.client) ?? []), viewer])
  const most = [...byClient.values()].reduce((a, b) => (b.length > a.length ? b : a))
  return most.length - 1 > byClient.get(client)!.length ? most.at(-1) : undefined
}

function full(): ModelError {
  return new ModelError('QUEUE_FULL', `${mostViewers} live streams are open, as many as this process serves`)
}

function event(name: 'history' | 'sample', data: LiveHistory | LiveUpdate): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}

import type { FastifyInstance, FastifyReply } from 'fastify'
import type { RecordedRequests, RequestRecord } from '../../schemas/requests.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { component } from '../plugins/openapi-components.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import { adminOnly } from '../request/admin-only.ts'
import type { ServerContext } from '../request/context.ts'
import { recordedBy } from '../request/request-recorder.ts'
import { json } from '../request/route-docs.ts'

const errors = problemResponses('UNAUTHORIZED', 'FORBIDDEN', 'RATE_LIMITED', 'INTERNAL')
const example: RequestRecord = {
  request_id: '0d4f3c5e-6d6b-4f0e-9a4f-8a4f3a1b2c3d',
  ended: '2026-11-27T01:45:11.907Z',
  method: 'POST',
  url: '/predict',
  status: 200,
  model: 'ads-funnel',
  version: '1',
  rows: 100,
  tasks: ['ctr', 'cvr', 'ctcvr'],
  receive_ms: 0.18,
  read_ms: 0.41,
  queue_ms: 11.2,
  compute_ms: 0.9,
  write_ms: 0.2,
  total_ms: 12.71,
}
const nothing = recordedBy({ slow: 0, recent: 0, bodies: false })

/** Recorded requests, of all processes: for administrators. */
export async function requestRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  const { recorder, peers } = context
  const onRequest = adminOnly(context)

  app.route({
    method: 'GET',
    url: '/debug/requests',
    schema: {
      operationId: 'recordedRequests',
      tags: ['operation'],
      summary: 'The slowest, the failed and the last requests, with their stages and without their bodies',
      description: 'Of all processes, only where administration is enabled (`MULTIGATE_ADMIN`).',
      response: {
        200: json(
          'RecordedRequests',
          'Empty lists unless `MULTIGATE_SLOW_REQUESTS` or `MULTIGATE_RECENT_REQUESTS` is set',
          {
            slow: [example],
            failed: [],
            recent: [],
            recorded: { ...nothing, slow: 20, failed: 25 },
          } satisfies RecordedRequests,
        ),
        ...errors,
      },
    },
    onRequest,
    handler: async (): Promise<RecordedRequests> => {
      if (recorder === undefined) return { slow: [], failed: [], recent: [], recorded: nothing }
      const lists = (await peers?.requests()) ?? recorder.list()
      return { ...lists, recorded: recorder.recorded }
    },
  })

  app.route<{ Params: { request_id: string } }>({
    method: 'GET',
    url: '/debug/requests/:request_id',
    schema: {
      operationId: 'recordedRequest',
      tags: ['operation'],
      summary: 'The newest recorded request with this id; with its body if `MULTIGATE_SLOW_BODIES` is set',
      description: 'Only where administration is enabled (`MULTIGATE_ADMIN`).',
      params: {
        type: 'object',
        properties: { request_id: { type: 'string', description: 'Its id', examples: [example.request_id] } },
        required: ['request_id'],
      },
      response: {
        200: json('RequestRecord', 'The request', example),
        ...problemResponses('UNAUTHORIZED', 'FORBIDDEN', 'NOT_FOUND', 'RATE_LIMITED', 'INTERNAL'),
      },
    },
    onRequest,
    handler: async (request, reply): Promise<RequestRecord | FastifyReply> => {
      const { request_id: id } = request.params
      const found = recorder && (peers === undefined ? recorder.find(id) : await peers.request(id))
      if (found !== undefined) return found
      const body = problemDetails('NOT_FOUND', 'No recorded request has this id, or no longer', request.id)
      return sendProblem(reply, { body })
    },
  })

  app.route({
    method: 'GET',
    url: '/debug/slow',
    schema: {
      operationId: 'slowRequests',
      tags: ['operation'],
      summary:
        'The slowest requests of this minute and the last, with their stages; with their bodies only if `MULTIGATE_SLOW_BODIES` is set',
      description: 'Of all processes, only where administration is enabled (`MULTIGATE_ADMIN`).',
      response: {
        200: {
          description: 'Slowest first; none unless `MULTIGATE_SLOW_REQUESTS` is set',
          content: {
            'application/json': {
              schema: {
                type: 'object',
                properties: { requests: { type: 'array', items: component('RequestRecord') } },
                required: ['requests'],
              },
              examples: { answer: { value: { requests: [example] } } },
            },
          },
        },
        ...errors,
      },
    },
    onRequest,
    handler: async (): Promise<{ requests: RequestRecord[] }> => ({
      requests: recorder === undefined ? [] : ((await peers?.slow()) ?? recorder.slow()),
    }),
  })
}

import type { FastifyInstance, FastifyReply } from 'fastify'
import { ModelError } from '../../model/base/errors.ts'
import { acceptAnyType } from '../body/raw-body.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import { queryCompiler } from '../plugins/query.ts'
import { adminOnly } from '../request/admin-only.ts'
import type { ServerContext } from '../request/context.ts'
import { bodyOptions } from '../request/prediction-route.ts'
import type { RequestRecord } from '../request/request-record.ts'

const seconds = {
  type: 'object' as const,
  properties: {
    seconds: { type: 'integer' as const, minimum: 1, maximum: 60, default: 10, description: 'How long to record' },
  },
}
const errors = problemResponses('INVALID_REQUEST', 'UNAUTHORIZED', 'FORBIDDEN', 'QUEUE_FULL', 'INTERNAL')
const response = (description: string, value: object) => ({
  description,
  content: {
    'application/json': { schema: { type: 'object', additionalProperties: true }, examples: { answer: { value } } },
  },
})
const slowExample: { requests: RequestRecord[] } = {
  requests: [
    {
      request_id: '0d4f3c5e-6d6b-4f0e-9a4f-8a4f3a1b2c3d',
      ended: '2026-11-27T01:45:11.907Z',
      method: 'POST',
      url: '/predict',
      status: 200,
      model: 'ads-funnel',
      version: '1',
      rows: 100,
      tasks: ['ctr', 'cvr', 'ctcvr'],
      read_ms: 0.41,
      queue_ms: 11.2,
      compute_ms: 0.9,
      write_ms: 0.2,
      total_ms: 12.71,
    },
  ],
}
const profileExamples = {
  cpu: { nodes: [], startTime: 0, endTime: 10_000_000, samples: [], timeDeltas: [] },
  heap: { head: { callFrame: {}, selfSize: 0, id: 1, children: [] }, samples: [] },
}

/** The slowest requests, and profiles of the event loop of the process that answers: for administrators. */
export async function debugRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  const { slow, peers } = context
  const onRequest = adminOnly(context)
  acceptAnyType(app, bodyOptions(context))

  app.route({
    method: 'GET',
    url: '/debug/slow',
    schema: {
      operationId: 'slowRequests',
      tags: ['operation'],
      summary:
        'The slowest requests of this minute and the last, with their stages; with their bodies only if `MULTIGATE_SLOW_BODIES` is set',
      response: {
        200: response('Slowest first; none unless `MULTIGATE_SLOW_REQUESTS` is set', slowExample),
        ...errors,
      },
    },
    onRequest,
    handler: async (): Promise<{ requests: RequestRecord[] }> => ({
      requests: slow === undefined ? [] : ((await peers?.slow()) ?? slow.list()),
    }),
  })

  let recording = false
  for (const [kind, what] of [
    ['cpu', 'Where the event loop spends its time, as a .cpuprofile for Chrome or speedscope'],
    ['heap', 'What allocates memory, as a .heapprofile for Chrome'],
  ] as const)
    app.route<{ Querystring: { seconds: number } }>({
      method: 'POST',
      url: kind === 'cpu' ? '/debug/profile' : '/debug/heap-profile',
      schema: {
        operationId: `${kind}Profile`,
        tags: ['operation'],
        summary: what,
        querystring: seconds,
        response: { 200: response('The profile', profileExamples[kind]), ...errors },
      },
      validatorCompiler: queryCompiler,
      onRequest,
      handler: async (request, reply): Promise<object | FastifyReply> => {
        if (recording) {
          const body = problemDetails('QUEUE_FULL', 'Another profile is being recorded', request.id)
          return sendProblem(reply, { body, retryAfterSeconds: request.query.seconds })
        }
        recording = true
        try {
          const { recordProfile } = await import('./profile.ts')
          const left = new AbortController()
          reply.raw.once('close', () => left.abort())
          return await recordProfile(kind, request.query.seconds, left.signal)
        } catch (error) {
          if (!reply.raw.destroyed) throw error
          throw new ModelError('CANCELLED', 'The client went away')
        } finally {
          recording = false
        }
      },
    })
}

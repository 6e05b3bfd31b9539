import type { FastifyInstance, FastifyReply } from 'fastify'
import { ModelError } from '../../base/errors.ts'
import { acceptAnyType } from '../body/raw-body.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import { queryCompiler } from '../plugins/query.ts'
import { adminOnly } from '../request/admin-only.ts'
import type { ServerContext } from '../request/context.ts'
import { bodyOptions } from '../request/prediction-route.ts'

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
const profileExamples = {
  cpu: { nodes: [], startTime: 0, endTime: 10_000_000, samples: [], timeDeltas: [] },
  heap: { head: { callFrame: {}, selfSize: 0, id: 1, children: [] }, samples: [] },
}

/** Profiles of the event loop of the process that answers: for administrators. */
export async function debugRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  const onRequest = adminOnly(context)
  acceptAnyType(app, bodyOptions(context))

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
        description:
          'Of the process that answers, one at a time; only where administration is enabled (`MULTIGATE_ADMIN`).',
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

import type { FastifyInstance } from 'fastify'
import type { Probe } from '../../schemas/models.ts'
import { acceptsOpenMetrics, openMetricsType } from '../metrics/exemplars.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import type { ServerContext } from '../request/context.ts'
import { unreadyReasons } from '../request/own-models.ts'
import { json } from '../request/route-docs.ts'

/** Probes. */
export async function probeRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  const probe = (description: string, value: Probe) => json('Probe', description, value)

  app.route({
    method: 'GET',
    url: '/livez',
    config: { probes: true },
    schema: {
      operationId: 'live',
      tags: ['operation'],
      summary: 'Is the process alive?',
      description: 'Says nothing of models: see `/readyz`.',
      response: { 200: probe('The event loop answers', { status: 'ok' }), ...problemResponses('INTERNAL') },
    },
    handler: async (): Promise<Probe> => ({ status: 'ok' }),
  })

  app.route({
    method: 'GET',
    url: '/readyz',
    config: { probes: true },
    schema: {
      operationId: 'ready',
      tags: ['operation'],
      summary: 'Can requests be sent here?',
      description: 'For load balancers: 503 from the moment that a shutdown starts.',
      response: {
        200: probe(
          'Every model found at the start has loaded or failed, and one answers, or every required model does; in all processes',
          { status: 'ok' },
        ),
        503: probe('Not ready, and why', { status: 'unavailable', reasons: ['census-income: it is being loaded'] }),
        ...problemResponses('INTERNAL'),
      },
    },
    handler: async (_, reply): Promise<Probe> => {
      const reasons = await unreadyReasons(context)
      if (reasons.length === 0) return { status: 'ok' }
      reply.status(503)
      return { status: 'unavailable', reasons }
    },
  })
}

/** `GET /metrics`. */
export async function metricsRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  const { metrics, peers, timeline } = context
  let scrape: Promise<string> | undefined
  const scrapeAll = async () => (await peers?.metrics()) ?? metrics.registry.metrics()

  app.route({
    method: 'GET',
    url: '/metrics',
    schema: {
      operationId: 'metrics',
      tags: ['operation'],
      summary: 'Metrics of all processes, for Prometheus',
      description:
        'In the Prometheus text format; as OpenMetrics with exemplars where traces are on and `Accept` asks for it.',
      response: {
        200: {
          description: 'Prometheus text format 0.0.4, or OpenMetrics 1.0',
          content: {
            'text/plain': {
              schema: { type: 'string' },
              examples: { answer: { value: 'multigate_queue_rows{model="ads-funnel",version="1"} 0' } },
            },
            'application/openmetrics-text': {
              schema: { type: 'string' },
              examples: { answer: { value: 'multigate_queue_rows{model="ads-funnel",version="1"} 0\n# EOF' } },
            },
          },
        },
        ...problemResponses('UNAUTHORIZED', 'FORBIDDEN', 'RATE_LIMITED', 'INTERNAL'),
      },
    },
    handler: async ({ headers }, reply) => {
      // Those who ask meanwhile get the same.
      scrape ??= scrapeAll().finally(() => {
        scrape = undefined
      })
      const text = await scrape
      if (timeline?.childLogger && acceptsOpenMetrics(headers.accept))
        return reply.type(openMetricsType).send(metrics.exemplars.toOpenMetrics(text))
      return reply.type(metrics.registry.contentType).send(text)
    },
  })
}

import type { FastifyInstance } from 'fastify'
import { invalidRequest } from '../../../model/serving/features/problems.ts'
import { createBytesParser } from '../../body/raw-body.ts'
import type { ServerContext } from '../../request/context.ts'
import { bodyOptions, predictionRoute } from '../../request/prediction-route.ts'
import type { FastProtocol } from '../../request/protocol.ts'
import { writeAnswer } from './predict-answer.ts'
import { predictSchema } from './predict-docs.ts'
import { type PredictAsked, predictFormat } from './predict-format.ts'

const path = '/predict'

/** The service's own protocol. */
export const predictProtocol: FastProtocol<unknown, PredictAsked> = {
  format: predictFormat,
  target: ({ model, version, label, options }) => ({ model, version, label, deadlineMs: options?.deadline_ms }),
  // Problems of the body come first.
  notFound: (error, { problems }) => (problems === undefined ? error : invalidRequest([...problems])),
  ask: ({ tasks, options, problems }) => ({ tasks, options, problems }),
  write: (table, { form }, { manifest: { name: model, version } }, id) => ({
    headers: ['content-type', 'application/json; charset=utf-8'],
    body: writeAnswer({ model, version, request_id: id }, table, form === 'columns' ? 'columns' : 'rows'),
  }),
  ordinary: {
    match: (url) => (url === path ? {} : undefined),
    types: new Set(['application/json', 'application/json; charset=utf-8']),
    problemsAsText: false,
  },
}

/** `POST /predict`: the probability of every task for every candidate. */
export async function predictRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  // Read by the handler, which goes on to the tensors without a stop.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', createBytesParser(bodyOptions(context)))
  app.route({ ...predictionRoute(context, predictProtocol), url: path, schema: predictSchema })
}

import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { QueryRows } from '../../../model/serving/prediction/query-rows.ts'
import { predictBody } from '../../body/predict-body.ts'
import { createBytesParser } from '../../body/raw-body.ts'
import type { ServerContext } from '../../request/context.ts'
import { answerPrediction, deadlineOf, type Exchange } from '../../request/exchange.ts'
import {
  admittedRequest,
  bodyOptions,
  type OrdinaryRoute,
  predictionRoute,
  type WrittenResponse,
} from '../../request/prediction-route.ts'
import { writeAnswer } from './predict-answer.ts'
import { predictSchema } from './predict-docs.ts'
import { predictFormat } from './predict-format.ts'
import { orProblems } from './read-query.ts'

const noBody = Buffer.alloc(0)

const path = '/predict'

/** Content type of responses with predictions. */
const answerType = 'application/json; charset=utf-8'

/** `POST /predict`: the probability of every task for every candidate. */
export async function predictRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  // Read by the handler, which goes on to the tensors without a stop.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', createBytesParser(bodyOptions(context)))

  app.route({
    ...predictionRoute(context),
    url: path,
    schema: predictSchema,
    async handler(request, reply) {
      const { body = noBody } = request as FastifyRequest<{ Body: Buffer | undefined }>
      const answer = await predict(context, request[admittedRequest]!, body)
      reply.header('content-type', answerType)
      return answer.body
    },
  })
}

export const predictRoute: OrdinaryRoute<true> = {
  match: (url) => url === path || undefined,
  types: new Set(['application/json', 'application/json; charset=utf-8']),
  problemsAsText: false,
  respond: (context, exchange, _, bytes) => predict(context, exchange, bytes),
}

/** The response to a request with this body, as JSON. Rejects with what is wrong with it. */
function predict(context: ServerContext, exchange: Exchange, bytes: Buffer): Promise<WrittenResponse> {
  const { headers, id } = exchange
  let form: QueryRows['form'] = 'rows'
  return answerPrediction(
    context,
    exchange,
    (acquire, arrived) => {
      return predictBody(context.reader, predictFormat, { bytes }, (asked) => {
        const { model, version, label, tasks, options, problems } = asked
        form = asked.form
        const deadline = arrived + deadlineOf(options?.deadline_ms, headers, context.deadlineMs)
        return { model: orProblems(problems, () => acquire(model, version, label)), tasks, options, problems, deadline }
      })
    },
    ({ manifest: { name, version } }, table) => ({
      headers: ['content-type', answerType],
      body: writeAnswer({ model: name, version, request_id: id }, table, form === 'columns' ? 'columns' : 'rows'),
    }),
  )
}

import type { FastifyInstance, FastifyRequest } from 'fastify'
import { invalidRequest } from '../../model/features/problems.ts'
import { writeAnswer } from '../../model/prediction/answer.ts'
import type { QueryRows } from '../../model/prediction/model.ts'
import type { PredictEnvelope } from '../../schemas/predict.ts'
import type { ServerContext } from '../context.ts'
import { readJson } from '../json/read-body.ts'
import { readTensors } from '../json/read-tensors.ts'
import { checkEnvelope } from '../plugins/validation.ts'
import { answerPrediction, deadlineOf, predictionRoute } from '../prediction-route.ts'
import { predictSchema } from './predict-docs.ts'

const noBody = Buffer.alloc(0)

/** `POST /predict`: the probability of every task for every candidate. */
export async function predictRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  // Read by the handler, which goes on to the tensors without a stop.
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_, body, done) => done(null, body))

  app.route({
    ...predictionRoute(context),
    url: '/predict',
    schema: predictSchema,
    serializerCompiler: () => JSON.stringify,
    handler(request, reply) {
      const { headers, body: bytes = noBody, id } = request as FastifyRequest<{ Body: Buffer | undefined }>
      let form: QueryRows['form'] = 'rows'
      return answerPrediction(
        context,
        request,
        reply,
        (acquire, arrived) => {
          const body = checkEnvelope(readTensors(bytes) ?? readJson(bytes))
          if (body.version !== undefined && body.label !== undefined) {
            throw invalidRequest([{ path: '/label', message: 'is given beside version: one of them is enough' }])
          }
          const rows = rowsOf(body)
          form = rows.form
          const { tasks, options } = body
          const deadline = arrived + deadlineOf(options?.deadline_ms, headers, context.deadlineMs)
          return acquire(body.model, body.version, body.label).predict({ rows, tasks, options, deadline })
        },
        ({ manifest: { name, version } }, table) => {
          reply.header('content-type', 'application/json; charset=utf-8')
          return writeAnswer({ model: name, version, request_id: id }, table, form === 'columns' ? 'columns' : 'rows')
        },
      )
    },
  })
}

/** Which of the four forms the body has. */
function rowsOf({ context, candidates, sparse, dense, inputs }: PredictEnvelope): QueryRows {
  if (inputs !== undefined) {
    onlyOne('tensors (inputs)', { context, candidates, sparse, dense })
    return { form: 'inputs', inputs }
  }
  if (sparse !== undefined || dense !== undefined) {
    onlyOne('tensors (sparse, dense)', { context, candidates })
    return { form: 'tensors', sparse, dense }
  }
  const byColumn = typeof candidates === 'object' && candidates !== null && !Array.isArray(candidates)
  return { form: byColumn ? 'columns' : 'rows', context, candidates }
}

function onlyOne(form: string, others: Record<string, unknown>): void {
  const given = Object.keys(others).filter((name) => others[name] !== undefined)
  if (given.length === 0) return
  const message = `is given beside ${form}: only one form is possible`
  throw invalidRequest(given.map((name) => ({ path: `/${name}`, message })))
}

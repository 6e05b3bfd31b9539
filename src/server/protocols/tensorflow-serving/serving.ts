import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { ModelError } from '../../../model/base/errors.ts'
import { invalidRequest } from '../../../model/features/problems.ts'
import { predictBody } from '../../body/predict-body.ts'
import { acceptAnyType, bytesOf } from '../../body/raw-body.ts'
import type { ServerContext } from '../../request/context.ts'
import { answerPrediction, deadlineOf } from '../../request/exchange.ts'
import { admittedRequest, bodyOptions, predictionRoute } from '../../request/prediction-route.ts'
import { writeServingAnswer } from './serving-answer.ts'
import { servingLabelSchema, servingSchema, servingVersionSchema } from './serving-docs.ts'
import { servingFormat } from './serving-format.ts'
import type { ServingBody } from './serving-request.ts'
import { checkSignatureName, servingOutputs } from './serving-signatures.ts'

/** A model as a path of this protocol names it. */
export interface ServingParams {
  model: string
  version?: string
  label?: string
}

/** No name has a colon: what follows one is the verb. */
export const servingModel = '/v1/models/:model([^:/]+)'
export const servingVersion = `${servingModel}/versions/:version([^:/]+)`
export const servingLabel = `${servingModel}/labels/:label([^:/]+)`

/** `POST /v1/models/{model}[/versions/{version}|/labels/{label}]:predict`: TensorFlow Serving's REST interface. */
export async function servingRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  acceptAnyType(app, bodyOptions(context))

  const route = (
    url: string,
    schema: object,
    handler: (context: ServerContext, request: FastifyRequest, reply: FastifyReply) => Promise<Buffer>,
  ): RouteOptions => ({
    ...predictionRoute(context),
    url,
    schema,
    handler: (request, reply) => handler(context, request, reply),
  })
  for (const [path, schema] of [
    [servingModel, servingSchema],
    [servingVersion, servingVersionSchema],
    [servingLabel, servingLabelSchema],
  ] as const) {
    app.route(route(`${path}::predict`, schema, predict))
    for (const verb of ['classify', 'regress'] as const)
      app.route(route(`${path}::${verb}`, { hide: true }, refuse(verb)))
  }
}

function predict(context: ServerContext, request: FastifyRequest, reply: FastifyReply): Promise<Buffer> {
  const { headers } = request
  let form: ServingBody['form']
  return answerPrediction(
    context,
    request[admittedRequest]!,
    (acquire, arrived) => {
      return predictBody(context.reader, servingFormat, { bytes: bytesOf(request) }, (asked) => {
        form = asked.form
        const deadline = arrived + deadlineOf(undefined, headers, context.deadlineMs)
        const model = find(request.params as ServingParams, acquire)
        if (asked.signature !== undefined) checkSignatureName(model, asked.signature)
        return { model, deadline }
      })
    },
    (model, table) => {
      reply.type('application/json')
      return writeServingAnswer(servingOutputs(model), table, form)
    },
  )
}

/** Models here have signatures for `predict` alone. */
function refuse(verb: 'classify' | 'regress') {
  return (context: ServerContext, request: FastifyRequest): Promise<Buffer> =>
    answerPrediction(
      context,
      request[admittedRequest]!,
      (acquire) => {
        find(request.params as ServingParams, acquire)
        const message = `can't be asked to ${verb}: its signatures are for predict, so send {"instances": …} or {"inputs": …} to :predict`
        throw invalidRequest([{ path: 'The model', message }])
      },
      () => Buffer.alloc(0),
    )
}

/** Finds a model, or says in TensorFlow Serving's words that it isn't there. */
export function find<T>(
  { model, version, label }: ServingParams,
  acquire: (model: string, version?: string, label?: string) => T,
): T {
  try {
    return acquire(model, version, label)
  } catch (error) {
    if (!(error instanceof ModelError) || !/^(?:MODEL|VERSION)_NOT_FOUND$/.test(error.code)) throw error
    const which = version === undefined ? `Latest(${model})` : `Specific(${model}, ${version})`
    const asked = label === undefined ? which : `${which}, label ${label}`
    throw new ModelError(error.code, `Servable not found for request: ${asked}`)
  }
}

import type { FastifyInstance, RouteOptions } from 'fastify'
import { ModelError } from '../../../base/errors.ts'
import { invalidRequest } from '../../../model/serving/features/problems.ts'
import { predictBody } from '../../body/predict-body.ts'
import { acceptAnyType, bodyBytes } from '../../body/raw-body.ts'
import type { ServerContext } from '../../request/context.ts'
import { answerPrediction, deadlineOf, type Exchange } from '../../request/exchange.ts'
import {
  admittedRequest,
  bodyOptions,
  type OrdinaryRoute,
  plainName,
  predictionRoute,
} from '../../request/prediction-route.ts'
import { writeServingAnswer } from './serving-answer.ts'
import { servingLabelSchema, servingSchema, servingVersionSchema } from './serving-docs.ts'
import { servingFormat } from './serving-format.ts'
import type { ServingBody } from './serving-rows.ts'
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
    answer: (exchange: Exchange, params: ServingParams, bytes: Buffer) => Promise<Buffer>,
  ): RouteOptions => ({
    ...predictionRoute(context),
    url,
    schema,
    async handler(request, reply) {
      const bytes = await answer(request[admittedRequest]!, request.params as ServingParams, bodyBytes(request))
      reply.type(answerType)
      return bytes
    },
  })
  const predicted = (exchange: Exchange, params: ServingParams, bytes: Buffer) =>
    predict(context, exchange, params, bytes)
  for (const [path, schema] of [
    [servingModel, servingSchema],
    [servingVersion, servingVersionSchema],
    [servingLabel, servingLabelSchema],
  ] as const) {
    app.route(route(`${path}::predict`, schema, predicted))
    for (const verb of ['classify', 'regress'] as const)
      app.route(route(`${path}::${verb}`, { hide: true }, refuse(context, verb)))
  }
}

const answerType = 'application/json'

const paths = new RegExp(`^/v1/models/(${plainName})(?:/(versions|labels)/(${plainName}))?:predict$`)

export const servingRoute: OrdinaryRoute<ServingParams> = {
  match(url) {
    const [, model, kind, name] = paths.exec(url) ?? []
    if (model === undefined) return undefined
    if (kind === undefined || name === undefined) return { model }
    return kind === 'versions' ? { model, version: name } : { model, label: name }
  },
  types: new Set(['application/json']),
  problemsAsText: true,
  respond: async (context, exchange, params, bytes) => ({
    headers: ['content-type', answerType],
    body: await predict(context, exchange, params, bytes),
  }),
}

function predict(context: ServerContext, exchange: Exchange, params: ServingParams, bytes: Buffer): Promise<Buffer> {
  const { headers } = exchange
  let form: ServingBody['form']
  return answerPrediction(
    context,
    exchange,
    (acquire, arrived) => {
      return predictBody(context.reader, servingFormat, { bytes }, (asked) => {
        form = asked.form
        const deadline = arrived + deadlineOf(undefined, headers, context.deadlineMs)
        const model = find(params, acquire)
        if (asked.signature !== undefined) checkSignatureName(model, asked.signature)
        return { model, deadline }
      })
    },
    (model, table) => writeServingAnswer(servingOutputs(model), table, form),
  )
}

/** Models here have signatures for `predict` alone. */
function refuse(context: ServerContext, verb: 'classify' | 'regress') {
  return (exchange: Exchange, params: ServingParams): Promise<Buffer> =>
    answerPrediction(
      context,
      exchange,
      (acquire) => {
        find(params, acquire)
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

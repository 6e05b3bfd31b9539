import type { FastifyInstance, RouteOptions } from 'fastify'
import { ModelError } from '../../../base/errors.ts'
import { invalidRequest } from '../../../model/serving/features/problems.ts'
import { acceptAnyType } from '../../body/raw-body.ts'
import type { ServerContext } from '../../request/context.ts'
import { handle } from '../../request/handle.ts'
import { admittedRequest, admittedRoute, bodyOptions, predictionRoute } from '../../request/prediction-route.ts'
import { type FastProtocol, plainName } from '../../request/protocol.ts'
import { writeServingAnswer } from './serving-answer.ts'
import { servingLabelSchema, servingSchema, servingVersionSchema } from './serving-docs.ts'
import { type ServingAsked, servingFormat } from './serving-format.ts'
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

const paths = new RegExp(`^/v1/models/(${plainName})(?:/(versions|labels)/(${plainName}))?:predict$`)

/** TensorFlow Serving's REST interface. */
export const servingProtocol: FastProtocol<ServingParams, ServingAsked> = {
  format: servingFormat,
  target: (_, { model, version, label }) => ({ model, version, label }),
  notFound: (error, _, params) => notFound(error, params),
  ask({ signature }, model) {
    if (signature !== undefined) checkSignatureName(model, signature)
    return { whole: true }
  },
  write: (table, { form }, model) => ({
    headers: ['content-type', 'application/json'],
    body: writeServingAnswer(servingOutputs(model), table, form),
  }),
  ordinary: {
    match(url) {
      const [, model, kind, name] = paths.exec(url) ?? []
      if (model === undefined) return undefined
      if (kind === undefined || name === undefined) return { model }
      return kind === 'versions' ? { model, version: name } : { model, label: name }
    },
    types: new Set(['application/json']),
    problemsAsText: true,
  },
}

/** `POST /v1/models/{model}[/versions/{version}|/labels/{label}]:predict`. */
export async function servingRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  acceptAnyType(app, bodyOptions(context))
  for (const [path, schema] of [
    [servingModel, servingSchema],
    [servingVersion, servingVersionSchema],
    [servingLabel, servingLabelSchema],
  ] as const) {
    app.route({ ...predictionRoute(context, servingProtocol), url: `${path}::predict`, schema })
    for (const verb of ['classify', 'regress'] as const)
      app.route({ ...refusedRoute(context, verb), url: `${path}::${verb}`, schema: { hide: true } })
  }
}

/** Models here have signatures for `predict` alone: whatever the body, it is not read. */
function refusedRoute(context: ServerContext, verb: 'classify' | 'regress'): Omit<RouteOptions, 'url'> {
  const refuse = (): never => {
    const message = `can't be asked to ${verb}: its signatures are for predict, so send {"instances": …} or {"inputs": …} to :predict`
    throw invalidRequest([{ path: 'The model', message }])
  }
  const asked: ServingAsked = { form: 'instances', signature: undefined }
  const format = { name: 'unread', open: () => ({ asked, rowsFor: refuse }) }
  const protocol = { ...servingProtocol, format, ask: refuse }
  return {
    ...admittedRoute(context, servingProtocol.format.name),
    handler: (request) =>
      handle(context, request[admittedRequest]!, protocol, request.params as ServingParams, Buffer.alloc(0)),
  }
}

/** Finds a model, or says in TensorFlow Serving's words that it isn't there. */
export function find<T>(params: ServingParams, acquire: (model: string, version?: string, label?: string) => T): T {
  try {
    return acquire(params.model, params.version, params.label)
  } catch (error) {
    throw notFound(error, params)
  }
}

function notFound(error: unknown, { model, version, label }: ServingParams): unknown {
  if (!(error instanceof ModelError) || !/^(?:MODEL|VERSION)_NOT_FOUND$/.test(error.code)) return error
  const which = version === undefined ? `Latest(${model})` : `Specific(${model}, ${version})`
  const asked = label === undefined ? which : `${which}, label ${label}`
  return new ModelError(error.code, `Servable not found for request: ${asked}`)
}

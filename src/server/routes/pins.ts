import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ModelError } from '../../base/errors.ts'
import { invalidRequest } from '../../model/serving/features/problems.ts'
import { pinVersion, unpinVersion } from '../../model/serving/registry/pin.ts'
import { PinRequest } from '../../schemas/model-versions.ts'
import type { ModelStatus } from '../../schemas/models.ts'
import type { ProblemCode } from '../../schemas/problem.ts'
import { acceptAnyType, bodyBytes } from '../body/raw-body.ts'
import { readJson } from '../body/read-json.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { component } from '../plugins/openapi-components.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import { createChecker, helpfulProblems } from '../plugins/validation.ts'
import { adminOnly } from '../request/admin-only.ts'
import { audited } from '../request/audit.ts'
import type { ServerContext } from '../request/context.ts'
import { modelsOf } from '../request/own-models.ts'
import { bodyOptions } from '../request/prediction-route.ts'
import { json, ofModel } from '../request/route-docs.ts'
import { statusOf } from './models.ts'
import { modelListExample } from './models-docs.ts'

/** Bytes: a body holds a version alone. */
const longestBody = 1024

const pinRequest = createChecker(PinRequest)

type PinRoute = { Params: { model: string } }

const errors: ProblemCode[] = [
  'INVALID_REQUEST',
  'UNAUTHORIZED',
  'FORBIDDEN',
  'MODEL_NOT_FOUND',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'INTERNAL',
  'NOT_READY',
  'DRAINING',
]
const [, pinned] = modelListExample.models

/**
 * `POST /models/{model}/pin` and `unpin`: as `multigate pin` and `multigate unpin`, and all processes follow before the
 * response.
 */
export async function pinRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  const { registry, peers, folder } = context
  acceptAnyType(app, bodyOptions(context))

  const post = {
    method: 'POST',
    bodyLimit: longestBody,
    // Bodies are described for /docs, and checked by the handler.
    validatorCompiler: () => () => true,
    onRequest: adminOnly(context),
  } as const

  // A pin that is taken back must not take back a later one.
  let last: Promise<unknown> = Promise.resolve()
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = last.then(work)
    last = done.catch(() => undefined)
    return done
  }

  const follow = (model: string, by: string) =>
    peers === undefined ? registry.reconcile() : peers.change({ action: 'reconcile', model, by })
  const statusFor = (request: FastifyRequest<PinRoute>) => statusOf(modelsOf(request, registry), request.params.model)

  async function pin(request: FastifyRequest<PinRoute>, by: string, version: string): Promise<ModelStatus> {
    const { name } = statusFor(request)
    refuseFailed(statusFor(request), version, 'was not pinned')
    const former = await pinVersion(folder, name, version, { by })
    await follow(name, by)
    const status = statusFor(request)
    if (status.pin === version && failureOf(status, version) === undefined) return status
    await (former === undefined ? unpinVersion(folder, name, { by }) : pinVersion(folder, name, former, { by }))
    await follow(name, by)
    refuseFailed(status, version, former === undefined ? 'is not pinned' : `is not pinned; version ${former} is again`)
    throw new ModelError('NOT_READY', `The pin has no effect: ${status.problem ?? `${name} does not follow it`}`)
  }

  async function unpin(request: FastifyRequest<PinRoute>, by: string): Promise<ModelStatus> {
    const { name } = statusFor(request)
    await unpinVersion(folder, name, { by })
    await follow(name, by)
    return statusFor(request)
  }

  const change = (action: 'pin' | 'unpin', request: FastifyRequest<PinRoute>) => {
    const { model } = request.params
    if (action === 'unpin') return audited(request, { action, model }, (by) => unpin(request, by))
    const { version } = read(bodyBytes(request))
    return audited(request, { action, model, version }, (by) => pin(request, by, version))
  }

  const answer = (action: 'pin' | 'unpin') => (request: FastifyRequest<PinRoute>, reply: FastifyReply) =>
    inTurn(async () => change(action, request)).catch((error: unknown) => answerProblem(error, request, reply))

  app.route<PinRoute>({
    ...post,
    url: '/models/:model/pin',
    schema: {
      operationId: 'pinVersion',
      tags: ['models'],
      summary: 'Serve a version instead of the highest one: a rollback',
      description:
        'Only where administration is enabled (`MULTIGATE_ADMIN`). Writes `labels.json` of the model, as `multigate pin` does, and responds when the version is loaded in all processes. A version that fails to load is not pinned.',
      params: ofModel,
      body: pinBody,
      response: {
        200: json('ModelStatus', 'The model with its pin, and the version that answers now', pinned),
        ...problemResponses(...errors, 'VERSION_NOT_FOUND'),
      },
    },
    handler: answer('pin'),
  })
  app.route<PinRoute>({
    ...post,
    url: '/models/:model/unpin',
    schema: {
      operationId: 'unpinVersion',
      tags: ['models'],
      summary: 'Serve the highest version of a model again',
      description: 'Only where administration is enabled (`MULTIGATE_ADMIN`). Responds when all processes follow.',
      params: ofModel,
      response: {
        200: json('ModelStatus', 'The model without a pin', modelListExample.models[0]),
        ...problemResponses(...errors),
      },
    },
    handler: answer('unpin'),
  })
}

/** Throws what is not about the file of labels. */
function answerProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (!(error instanceof ModelError && error.code === 'INVALID_BUNDLE')) throw error
  // Its message has no path; as an internal error it would be hidden.
  const body = problemDetails('FORBIDDEN', `The pin can't be changed: ${error.message}`, request.id)
  return sendProblem(reply, { body })
}

const pinBody = {
  content: {
    'application/json': {
      schema: { allOf: [component('PinRequest')], 'x-examples': { pin: { value: { version: '1' } } } },
    },
  },
}

function read(body: Buffer): PinRequest {
  const value = readJson(body)
  if (pinRequest.Check(value)) return value
  throw invalidRequest(helpfulProblems(pinRequest, value))
}

/** Apart from a version that was only refused: a pin serves it. */
const failureOf = ({ versions }: ModelStatus, version: string) =>
  versions.find((one) => one.version === version && one.state === 'failed' && one.incompatible === undefined)

/** Throws NOT_READY for a version that failed. `outcome`: what became of its pin. */
function refuseFailed(status: ModelStatus, version: string, outcome: string): void {
  const failed = failureOf(status, version)
  if (failed !== undefined)
    throw new ModelError(
      'NOT_READY',
      `Version ${version} of ${status.name} failed to load and ${outcome}: ${failed.error}`,
    )
}

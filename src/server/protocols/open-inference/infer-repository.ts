import type { FastifyInstance } from 'fastify'
import type { TSchema } from 'typebox'
import { invalidRequest } from '../../../model/serving/features/problems.ts'
import type { FolderVersion } from '../../../model/serving/registry/find.ts'
import {
  type InferIndex,
  InferIndexRequest,
  type InferRepositoryAnswer,
  InferRepositoryRequest,
} from '../../../schemas/infer-model.ts'
import { acceptAnyType, bodyBytes } from '../../body/raw-body.ts'
import { readJson } from '../../body/read-json.ts'
import { createChecker, helpfulProblems } from '../../plugins/validation.ts'
import { adminOnly } from '../../request/admin-only.ts'
import { audited } from '../../request/audit.ts'
import type { ServerContext } from '../../request/context.ts'
import { bodyOptions } from '../../request/prediction-route.ts'
import { inferIndexSchema, inferLoadSchema, inferUnloadSchema } from './infer-model-docs.ts'

/** Triton's words for what becomes of a version. */
const states: Record<FolderVersion['state'], InferIndex[number]['state']> = {
  ready: 'READY',
  loading: 'LOADING',
  draining: 'UNLOADING',
  failed: 'UNAVAILABLE',
  absent: 'UNAVAILABLE',
}

/** Bytes of a body that says nothing more than which parameters there are. */
const longestBody = 65_536

const indexRequest = createChecker(InferIndexRequest)
const repositoryRequest = createChecker(InferRepositoryRequest)

/** The index of versions, and loading and unloading models if administration is enabled. */
export async function inferRepositoryRoutes(
  app: FastifyInstance,
  { context }: { context: ServerContext },
): Promise<void> {
  const { registry, peers } = context
  acceptAnyType(app, bodyOptions(context))

  const post = (url: string, schema: object) =>
    ({
      method: 'POST',
      url,
      schema,
      bodyLimit: longestBody,
      // Bodies are described for /docs, and checked by the handler.
      validatorCompiler: () => () => true,
      onRequest: adminOnly(context),
    }) as const

  app.route({
    ...post('/v2/repository/index', inferIndexSchema),
    handler: async (request): Promise<InferIndex> => {
      const { ready } = read(indexRequest, bodyBytes(request))
      return registry
        .contents()
        .filter(({ state }) => !ready || state === 'ready')
        .map(({ name, version, state, reason }) => ({
          name,
          ...(version === undefined ? {} : { version }),
          state: states[state],
          reason,
        }))
    },
  })

  for (const [action, schema] of [
    ['load', inferLoadSchema],
    ['unload', inferUnloadSchema],
  ] as const) {
    app.route<{ Params: { model: string } }>({
      ...post(`/v2/repository/models/:model/${action}`, schema),
      handler: async (request): Promise<InferRepositoryAnswer> => {
        const { model: name } = request.params
        refuseOverrides(read(repositoryRequest, bodyBytes(request)))
        await audited(request, { action, model: name }, (by) =>
          peers === undefined ? registry[action](name, by) : peers.change({ action, model: name, by }),
        )
        return { name, [action]: true }
      },
    })
  }
}

function read<T extends TSchema>(schema: ReturnType<typeof createChecker<T>>, body: Buffer) {
  const value = body.length > 0 ? readJson(body) : {}
  if (schema.Check(value)) return value
  throw invalidRequest(helpfulProblems(schema, value))
}

/** Triton takes a configuration and files in place of the folder's; here the folder alone says what a model is. */
function refuseOverrides({ parameters }: InferRepositoryRequest): void {
  const given = Object.keys(parameters ?? {}).find((name) => name === 'config' || name.startsWith('file:'))
  if (given === undefined) return
  const name = JSON.stringify(given.slice(0, 64))
  throw invalidRequest([{ path: '/parameters', message: `has ${name}: a model is what its folder says, nothing else` }])
}

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { listNames, suggestNames } from '../../base/names.ts'
import { type InputField, inputFields } from '../../model/serving/features/table.ts'
import type { Field } from '../../schemas/features.ts'
import { isObject } from '../../schemas/json.ts'
import type { Manifest } from '../../schemas/manifest.ts'
import type { VersionRows } from '../../schemas/model-versions.ts'
import type { FieldValues, ModelDetails } from '../../schemas/models.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { problemResponses } from '../plugins/openapi-errors.ts'
import { type QuerySchema, queryCompiler } from '../plugins/query.ts'
import { type AskedModel, askModel } from '../protocols/open-inference/infer-metadata.ts'
import type { ServerContext } from '../request/context.ts'
import { modelsOf } from '../request/own-models.ts'
import { json, ofField, ofVersionField } from '../request/route-docs.ts'
import { fieldValuesExample } from './models-docs.ts'

/** Most golden rows that are shown. */
const shownRows = 50

type GoldenRow = NonNullable<Manifest['golden']>['rows'][number]
type Row = VersionRows['rows'][number]

/** An example body for `POST /predict`: the first golden row, each field on its side. Nothing without golden rows. */
export function exampleOf({ name, features, golden }: Manifest): Pick<ModelDetails, 'example'> {
  const [first] = golden?.rows ?? []
  if (first === undefined) return {}
  const row = Object.fromEntries(
    Object.entries(first).map(([name, value]) => [
      name,
      shownValue(
        inputFields(features).find((field) => field.name === name),
        value,
      ),
    ]),
  )
  const { context, candidate } = bySide(features, row)
  return {
    example: { model: name, ...(Object.keys(context).length > 0 ? { context } : {}), candidates: [candidate] },
  }
}

/** A value of the row, or any other that the field takes where its values are kept from logs. */
function shownValue(field: InputField | undefined, value: GoldenRow[string]): GoldenRow[string] {
  if (field?.log === undefined) return value
  if (field.kind === 'vector') return new Array<number>(field.length).fill(0)
  const single = field.kind === 'vocabulary' ? field.values[0]! : field.kind === 'hash' ? 'example' : 0
  if (field.list === undefined) return single
  // Others of its sequence may be shown: they are equally long.
  const values = isObject(value) ? value.values : value
  const length = field.sequence !== undefined && Array.isArray(values) ? values.length : 1
  return new Array<string | number>(length).fill(single)
}

/**
 * Golden rows, each field on its side. Fields whose values are hashed or dropped where requests are kept are left out.
 */
export function rowsOf({ features, golden }: Manifest): Row[] {
  const shown = features.filter(({ log }) => log === undefined)
  return (golden?.rows ?? []).slice(0, shownRows).map((row) => bySide(shown, row))
}

function bySide(features: readonly Field[], row: GoldenRow): Row {
  const valuesOf = (isSide: (side: Field['side']) => boolean) =>
    Object.fromEntries(
      features
        .filter((field) => isSide(field.side) && Object.hasOwn(row, field.name))
        .map((field) => [field.name, plausible(field, row[field.name]!)]),
    )
  return { context: valuesOf((side) => side === 'context'), candidate: valuesOf((side) => side !== 'context') }
}

/**
 * Golden rows of imported models are drawn at random: long numbers, some of them negative where counts and prices are
 * meant.
 */
function plausible(field: Field, value: GoldenRow[string]): GoldenRow[string] {
  if (field.kind !== 'numeric' && field.kind !== 'vector') return value
  const items = (values: readonly (string | number)[]) =>
    values.map((item) => plausible(field, item) as string | number)
  if (Array.isArray(value)) return items(value)
  if (isObject(value)) return { ...value, values: items(value.values) }
  if (typeof value !== 'number') return value
  const isCount = field.kind === 'numeric' && field.scaling.method === 'log1p'
  return Number((isCount ? Math.abs(value) : value).toPrecision(4))
}

const page = {
  type: 'object' as const,
  properties: {
    offset: {
      type: 'integer' as const,
      minimum: 0,
      maximum: Number.MAX_SAFE_INTEGER,
      default: 0,
      description: 'Number of values to skip',
    },
    limit: {
      type: 'integer' as const,
      minimum: 1,
      maximum: 1000,
      default: 100,
      description: 'Maximum number of values',
    },
  },
} satisfies QuerySchema

interface FieldValuesRoute {
  Params: AskedModel & { field: string }
  Querystring: { offset: number; limit: number }
}

const pages = 'In id order; `total` says how many there are. A field of another kind has no list.'

const defaultPath = {
  url: '/models/:model/fields/:field/values',
  operationId: 'getFieldValues',
  summary: 'List the known values of a vocabulary field of the default version, in pages',
  description: pages,
  params: ofField,
}

const versionPath = {
  url: '/models/:model/versions/:version/fields/:field/values',
  operationId: 'getVersionFieldValues',
  summary: 'List the known values of a vocabulary field of a version, in pages',
  description: pages,
  params: ofVersionField,
}

/** `GET /models/{model}[/versions/{version}]/fields/{field}/values`: a vocabulary, page by page. */
export async function fieldValuesRoutes(app: FastifyInstance, { context }: { context: ServerContext }): Promise<void> {
  for (const { url, ...documented } of [defaultPath, versionPath])
    app.route<FieldValuesRoute>({
      method: 'GET',
      url,
      schema: {
        ...documented,
        tags: ['models'],
        querystring: page,
        response: {
          200: json('FieldValues', 'One page, in id order', fieldValuesExample),
          ...problemResponses(
            'INVALID_REQUEST',
            'NOT_FOUND',
            'MODEL_NOT_FOUND',
            ...(url === versionPath.url ? (['VERSION_NOT_FOUND'] as const) : []),
            'INTERNAL',
            'NOT_READY',
          ),
        },
      },
      validatorCompiler: queryCompiler,
      handler: async (request, reply) =>
        askModel(modelsOf(request, context.registry), request.params, ({ manifest }) =>
          listValues(manifest, request, reply),
        ),
    })
}

function listValues(
  { name, version, features }: Manifest,
  { params, query: { offset, limit } }: Pick<FastifyRequest<FieldValuesRoute>, 'params' | 'query'>,
  reply: FastifyReply,
): FieldValues | FastifyReply {
  // A field that shares a table has its owner's values.
  const field = inputFields(features).find((candidate) => candidate.name === params.field)
  if (field?.kind !== 'vocabulary') {
    const names = features.map((feature) => feature.name)
    const detail = field
      ? `${field.name} is ${field.kind === 'integer' ? 'an' : 'a'} ${field.kind} field of ${name}, which has no list of values; those that have one: ${listNames(inputFields(features).flatMap(vocabularyName)) || 'none'}`
      : `${name} has no field of this name${suggestNames(params.field, names)}`
    return sendProblem(reply, { body: problemDetails('NOT_FOUND', detail, reply.request.id) })
  }
  const { values } = field
  return {
    model: name,
    version,
    field: field.name,
    total: values.length,
    offset,
    values: values.slice(offset, offset + limit),
  }
}

function vocabularyName({ name, kind }: { name: string; kind: string }): string[] {
  return kind === 'vocabulary' ? [name] : []
}

import { createConfig, lintFromString } from '@redocly/openapi-core'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { Tables } from '../../../src/model/serving/tables/tables.ts'
import type { ProblemCode } from '../../../src/schemas/problem.ts'
import { problemTable } from '../../../src/server/errors/problem-details.ts'
import { evaluationExample } from '../../../src/server/routes/models-docs.ts'
import { adsById, adsByIdFeatures, importAdsById } from '../../support/ads-by-id.ts'
import { temporaryFolder, writeTestBundle } from '../../support/bundle.ts'
import { startTestServer } from '../../support/server.ts'

const models = await temporaryFolder(t)
// Models with the fields of the documentation's examples.
await writeTestBundle(models, {
  files: { 'evaluation.json': Buffer.from(JSON.stringify(evaluationExample)) },
  name: 'ads-funnel',
  manifest: { features: adsByIdFeatures },
})
await writeTestBundle(models, { name: 'ads-by-id', manifest: { features: adsByIdFeatures, entities: adsById } })
await importAdsById(models)
const { fastify, predict } = await startTestServer(t, { models, tables: new Tables(models) })
const document = (await fastify.inject('/docs/json')).json() as any
const codes = Object.keys(problemTable)

interface Operation {
  path: string
  method: string
  operation: any
}
const operations: Operation[] = Object.entries<any>(document.paths).flatMap(([path, methods]) =>
  Object.entries<any>(methods).map(([method, operation]) => ({ path, method, operation })),
)

/** Every content of the document: its schema, and examples by name. */
function contents(): { where: string; schema: any; examples: [string, any][] }[] {
  return operations.flatMap(({ path, method, operation }) => {
    const parts: [string, any][] = [
      ...(operation.requestBody ? [['request', operation.requestBody] as [string, any]] : []),
      ...Object.entries<any>(operation.responses),
    ]
    return parts.flatMap(([part, { content = {} }]) =>
      Object.entries<any>(content).map(([type, { schema, examples = {} }]) => ({
        where: `${method} ${path} ${part} ${type}`,
        schema,
        examples: Object.entries<any>(examples).map(([name, { value }]) => [name, value] as [string, any]),
      })),
    )
  })
}

const ajv = new Ajv2020({ strict: false, allErrors: true, validateSchema: false, formats: { byte: true } })
ajv.addSchema(document, 'document')
/** The errors that the document's schema finds in a value; empty where all is well. */
function errorsOf(schema: any, value: unknown): string {
  const text = JSON.stringify(schema).replaceAll('"#/', '"document#/')
  const check = ajv.compile(JSON.parse(text))
  return check(value) ? '' : ajv.errorsText(check.errors)
}

t.test('the document is OpenAPI 3.1', async (t) => {
  t.match(document.openapi, /^3\.1\./)
  const result = await new Validator().validate(structuredClone(document))
  t.same(result.errors ?? [], [])
  t.ok(result.valid)
  const damaged = structuredClone(document)
  damaged.paths['/predict'].post.responses = 7
  t.notOk((await new Validator().validate(damaged)).valid, 'the validator does look')
  const yaml = await fastify.inject('/docs/yaml')
  t.equal(yaml.statusCode, 200)
  t.match(yaml.body, /^openapi: 3\.1/)
})

t.test('a linter of OpenAPI documents has nothing to say', async (t) => {
  const config = await createConfig({ extends: ['recommended'] })
  const lint = async (source: object) => {
    const problems = await lintFromString({ source: JSON.stringify(source), absoluteRef: '/openapi.json', config })
    return problems.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`)
  }
  t.same(await lint(document), [])
  const damaged = structuredClone(document)
  delete damaged.paths['/predict'].post.operationId
  damaged.paths['/models'].get.responses = { 200: damaged.paths['/models'].get.responses[200] }
  t.match(await lint(damaged), [/^operation-operationId/, /^operation-4xx-response/], 'it does look')
})

t.test('every route is documented, and every documented route exists', async (t) => {
  const routes = fastify.printRoutes({ commonPrefix: false }).split('\n')
  t.ok(routes.length > 3)
  t.same(operations.map(({ method, path }) => `${method} ${path}`).sort(), [
    'get /console/live',
    'get /debug/prediction-log',
    'get /debug/requests',
    'get /debug/requests/{request_id}',
    'get /debug/slow',
    'get /livez',
    'get /metrics',
    'get /models',
    'get /models/{model}',
    'get /models/{model}/fields/{field}/values',
    'get /models/{model}/versions/{version}',
    'get /models/{model}/versions/{version}/distributions',
    'get /models/{model}/versions/{version}/evaluation',
    'get /models/{model}/versions/{version}/fields/{field}/values',
    'get /models/{model}/versions/{version}/rows',
    'get /readyz',
    'get /tables',
    'get /v1/models',
    'get /v1/models/{model}',
    'get /v1/models/{model}/labels/{label}',
    'get /v1/models/{model}/labels/{label}/metadata',
    'get /v1/models/{model}/metadata',
    'get /v1/models/{model}/versions/{version}',
    'get /v1/models/{model}/versions/{version}/metadata',
    'get /v2',
    'get /v2/health/live',
    'get /v2/health/ready',
    'get /v2/models/stats',
    'get /v2/models/{model}',
    'get /v2/models/{model}/config',
    'get /v2/models/{model}/ready',
    'get /v2/models/{model}/stats',
    'get /v2/models/{model}/versions/{version}',
    'get /v2/models/{model}/versions/{version}/config',
    'get /v2/models/{model}/versions/{version}/ready',
    'get /v2/models/{model}/versions/{version}/stats',
    'post /debug/heap-profile',
    'post /debug/profile',
    'post /models/{model}/pin',
    'post /models/{model}/unpin',
    'post /predict',
    'post /v1/models/{model}/labels/{label}:predict',
    'post /v1/models/{model}/versions/{version}:predict',
    'post /v1/models/{model}:predict',
    'post /v2/models/{model}/infer',
    'post /v2/models/{model}/versions/{version}/infer',
    'post /v2/repository/index',
    'post /v2/repository/models/{model}/load',
    'post /v2/repository/models/{model}/unload',
  ])
  for (const { method, path } of operations) {
    // Below /v1 a name has no colon.
    const parameter = path.startsWith('/v1') ? ':$1([^:/]+)' : ':$1'
    const url = path.replaceAll(':', '::').replaceAll(/\{([^}]+)\}/g, parameter)
    t.ok(fastify.hasRoute({ method: method.toUpperCase() as 'GET', url }), url)
  }
})

t.test('every operation says what it does, and has its answer and its errors', async (t) => {
  const tags = document.tags.map(({ name }: any) => name)
  const ids = operations.map(({ operation }) => operation.operationId)
  t.equal(new Set(ids).size, ids.length)
  for (const { path, method, operation } of operations) {
    const { operationId, summary, responses, parameters = [] } = operation
    t.match(operationId, /^[a-z][A-Za-z]+$/, path)
    t.ok(summary?.length > 10, `${method} ${path}: summary`)
    t.ok(operation.tags.length === 1 && tags.includes(operation.tags[0]), `${path}: tag`)
    t.ok(responses[200]?.description, `${path}: 200`)
    t.ok(responses[200].content, `${path}: content`)
    const errorType = /^\/v[12]/.test(path) ? 'application/json' : 'application/problem+json'
    t.ok(responses[500]?.content[errorType], `${path}: 500`)
    for (const parameter of parameters) t.ok(parameter.description, `${path}: ${parameter.name}`)
    for (const name of path.match(/\{[^}]+\}/g) ?? [])
      t.ok(
        parameters.some((parameter: any) => `{${parameter.name}}` === name && parameter.required),
        name,
      )
  }
})

t.test('every reference leads somewhere, and schemas have names', async (t) => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference!)
  t.ok(references.length > 10)
  for (const reference of new Set(references)) {
    const [, , , name] = /^#\/(components)\/(schemas)\/([^/]+)$/.exec(reference) ?? []
    t.ok(name && document.components.schemas[name], reference)
  }
  const names = Object.keys(document.components.schemas)
  for (const name of names) t.match(name, /^[A-Z][A-Za-z]+$/)
  for (const name of names) t.ok(references.includes(`#/components/schemas/${name}`), `${name} is used`)
})

t.test('every example is as its schema says', async (t) => {
  let examples = 0
  for (const { where, schema, examples: given } of contents()) {
    for (const [name, value] of given) {
      examples++
      t.equal(errorsOf(schema, value), '', `${where}: ${name}`)
    }
  }
  t.ok(examples > 20)
  const { schema } = document.paths['/predict'].post.requestBody.content['application/json']
  for (const wrong of [{ candidates: 7 }, { candidates: [], model: 7 }, { unknown: 1 }, []])
    t.not(errorsOf(schema, wrong), '', `the check does look: ${JSON.stringify(wrong)}`)
  for (const { where, examples: given } of contents()) {
    if (!/metrics/.test(where) || where.includes('problem')) t.ok(given.length > 0, `${where} has an example`)
  }
})

t.test('every code of an error appears with its status', async (t) => {
  const seen = new Set<string>()
  for (const { where, examples } of contents()) {
    for (const [name, value] of examples) {
      if (!where.includes('problem+json')) continue
      t.equal(value.code, name)
      t.equal(value.status, problemTable[name as ProblemCode].status)
      t.match(where, new RegExp(` ${value.status} `), `${where}: ${name}`)
      seen.add(name)
    }
  }
  // These are answered where no route is, or below /v2 alone.
  const elsewhere = ['METHOD_NOT_ALLOWED']
  t.same([...seen].sort(), codes.filter((code) => !elsewhere.includes(code)).sort())
  const listed = document.components.schemas.ProblemDetails.properties.code
  t.same(listed.enum ?? listed.anyOf.map((choice: any) => choice.const), codes)
})

t.test('the examples of POST /predict are answered, in the shape of their answers', async (t) => {
  const { requestBody, responses } = document.paths['/predict'].post
  const requests = Object.entries<any>(requestBody.content['application/json'].examples)
  const { schema, examples } = responses[200].content['application/json']
  t.ok(requests.length >= 3)
  for (const [name, { value }] of requests) {
    // However slow the machine, it is not too late.
    const { status, body } = await predict(
      value.options?.deadline_ms ? { ...value, options: { ...value.options, deadline_ms: 60_000 } } : value,
    )
    t.equal(status, 200, `${name}: ${JSON.stringify(body)}`)
    t.equal(errorsOf(schema, body), '', name)
    const documented = examples[name].value
    t.same(Object.keys(body), Object.keys(documented), name)
    const rowOf = ({ predictions }: any) => (Array.isArray(predictions) ? predictions[0] : predictions)
    t.same(Object.keys(rowOf(body)), Object.keys(rowOf(documented)), `${name}: a prediction's keys`)
  }
})

t.test('what routes really answer is as the document says', async (t) => {
  for (const [path, url, status] of [
    ['/models', '/models', 200],
    ['/models/{model}', '/models/ads-funnel', 200],
    ['/models/{model}', '/models/nothing', 404],
    ['/models/{model}/versions/{version}', '/models/ads-funnel/versions/1', 200],
    ['/models/{model}/versions/{version}', '/models/ads-funnel/versions/9', 404],
    ['/models/{model}/versions/{version}/distributions', '/models/ads-funnel/versions/1/distributions', 200],
    ['/models/{model}/versions/{version}/evaluation', '/models/ads-funnel/versions/1/evaluation', 200],
    ['/models/{model}/versions/{version}/rows', '/models/ads-funnel/versions/1/rows', 200],
    [
      '/models/{model}/versions/{version}/fields/{field}/values',
      '/models/ads-funnel/versions/1/fields/country/values',
      200,
    ],
    ['/livez', '/livez', 200],
    ['/readyz', '/readyz', 200],
    ['/v1/models', '/v1/models', 200],
    ['/v1/models/{model}', '/v1/models/ads-funnel', 200],
    ['/v1/models/{model}', '/v1/models/nothing', 404],
    ['/v1/models/{model}/metadata', '/v1/models/ads-funnel/metadata', 200],
    ['/v1/models/{model}/versions/{version}', '/v1/models/ads-funnel/versions/1', 200],
    ['/v1/models/{model}/versions/{version}/metadata', '/v1/models/ads-funnel/versions/1/metadata', 200],
    ['/v1/models/{model}/labels/{label}', '/v1/models/ads-funnel/labels/nothing', 404],
    ['/v1/models/{model}/labels/{label}/metadata', '/v1/models/ads-funnel/labels/nothing/metadata', 404],
    ['/v2', '/v2', 200],
    ['/v2/health/live', '/v2/health/live', 200],
    ['/v2/health/ready', '/v2/health/ready', 200],
    ['/v2/models/{model}', '/v2/models/ads-funnel', 200],
    ['/v2/models/{model}', '/v2/models/nothing', 404],
    ['/v2/models/{model}/ready', '/v2/models/ads-funnel/ready', 200],
    ['/v2/models/stats', '/v2/models/stats', 200],
    ['/v2/models/{model}/config', '/v2/models/ads-funnel/config', 200],
    ['/v2/models/{model}/stats', '/v2/models/ads-funnel/stats', 200],
    ['/v2/models/{model}/stats', '/v2/models/nothing/stats', 404],
    ['/v2/models/{model}/versions/{version}', '/v2/models/ads-funnel/versions/1', 200],
    ['/v2/models/{model}/versions/{version}/ready', '/v2/models/ads-funnel/versions/1/ready', 200],
  ] as const) {
    const answer = await fastify.inject(url)
    t.equal(answer.statusCode, status)
    const [type] = String(answer.headers['content-type']).split(';')
    const { schema } = document.paths[path].get.responses[status].content[type!]
    t.equal(errorsOf(schema, answer.json()), '', url)
  }
})

t.test('Swagger UI is served whole by this server', async (t) => {
  const page = await fastify.inject('/docs')
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], /^text\/html/)
  const files = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file!)
  t.ok(files.length >= 3)
  for (const file of files) {
    t.notMatch(file, /^(https?:)?\/\//)
    t.equal((await fastify.inject(new URL(file, 'http://localhost/docs').pathname)).statusCode, 200, file)
  }
})

t.test('the root is the console', async (t) => {
  const { statusCode, headers, body } = await fastify.inject('/')
  t.match([statusCode, headers['content-type'], body], [200, /html/, /console\/assets\/main-/])
})

t.test(
  'the documentation may run its own scripts alone, and be shown in no frame; other answers say nothing of it',
  async (t) => {
    for (const url of ['/docs', '/docs/json', '/docs/static/swagger-ui.css', '/docs/static/index.html']) {
      const { headers } = await fastify.inject(url)
      t.match(headers['content-security-policy'], /default-src 'none'; script-src 'self';.*frame-ancestors 'none'/, url)
      t.match(headers, {
        'x-frame-options': 'DENY',
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      })
    }
    t.notOk('content-security-policy' in (await fastify.inject('/livez')).headers)
  },
)

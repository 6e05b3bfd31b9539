import type { FastifyInstance, FastifyReply } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { type Problem, problemDetails, toProblem } from '../errors.ts'

/** Answers every error, unknown path and wrong method as problem details (RFC 9457). */
export const problems = fastifyPlugin(async (app: FastifyInstance) => {
  const routes: { methods: Set<string>; pattern: RegExp }[] = []

  app.addHook('onRoute', ({ method, url }) => {
    const path = url.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/:[^/]+/g, '[^/]+')
    const source = `^${path.replace(/\\\*$/, '.*')}/?$`
    const known = routes.find(({ pattern }) => pattern.source === new RegExp(source).source)
    const entry = known ?? { methods: new Set<string>(), pattern: new RegExp(source) }
    for (const name of [method].flat()) entry.methods.add(name)
    if (!known) routes.push(entry)
  })

  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error, request.id)
    if (problem.body.status >= 500) request.log.error({ err: error, code: problem.body.code }, problem.body.detail)
    return sendProblem(reply, problem)
  })

  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const allowed = [
      ...new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => [...methods])),
    ]
    if (allowed.length === 0) {
      return sendProblem(reply, {
        body: problemDetails('NOT_FOUND', `There is nothing at ${path}; GET /docs lists what there is`, request.id),
        retryAfterSeconds: undefined,
      })
    }
    reply.header('allow', allowed.sort().join(', '))
    const detail = `${path} does not take ${request.method}, but ${allowed.join(', ')}`
    return sendProblem(reply, {
      body: problemDetails('METHOD_NOT_ALLOWED', detail, request.id),
      retryAfterSeconds: undefined,
    })
  })
})

export function sendProblem(reply: FastifyReply, { body, retryAfterSeconds }: Problem): FastifyReply {
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds)
  return reply.status(body.status).type('application/problem+json').serializer(JSON.stringify).send(body)
}

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { ModelError } from '../../base/errors.ts'
import { describeProblems } from '../../model/serving/features/problems.ts'
import { type ProblemAnswer, problemDetails, toProblem } from './problem-details.ts'
import { closeUnlessSmall, noteProblem } from './sent-problem.ts'

/**
 * Answers every error, unknown path and wrong method as problem details (RFC 9457); below `/v1` and `/v2` as those
 * protocols have it.
 */
export const problems = fastifyPlugin(async (app: FastifyInstance) => {
  const routes: { methods: Set<string>; pattern: RegExp }[] = []

  app.addHook('onRoute', ({ method, url }) => {
    // Preflight requests are answered on any path, whether there is something or not.
    if (url === '*') return
    const pattern = patternOf(url)
    const known = routes.find((route) => route.pattern.source === pattern.source)
    const entry = known ?? { methods: new Set<string>(), pattern }
    for (const name of [method].flat()) entry.methods.add(name)
    if (!known) routes.push(entry)
  })

  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error, request.id)
    const { status, code, detail } = problem.body
    if ((error instanceof ModelError && error.code === 'CANCELLED') || leftMeanwhile(error, reply)) {
      // The client has gone: there is nobody to answer.
      request.log.debug('the client went away')
      reply.hijack()
      reply.raw.destroy()
      return
    }
    // 503 and 504 are how an overloaded or stopping server answers, many times a second: the metrics count them.
    if (status === 500) request.log.error({ err: error, code }, detail)
    else request.log.debug({ code }, detail)
    return sendProblem(reply, problem)
  })

  // Before a body is read: what it holds makes no difference to a path that nothing answers.
  app.addHook('preParsing', (request, reply, _payload, done) => {
    if (request.is404) notFound(request, reply)
    else done()
  })
  app.setNotFoundHandler(notFound)

  function notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
    closeUnlessSmall(request, reply)
    const path = request.url.split('?', 1)[0] ?? ''
    const allowed = [
      ...new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => [...methods])),
    ]
    // A route declines some paths that fit its pattern: files that are not there.
    const unknown = allowed.length === 0 || allowed.includes(request.method)
    if (!unknown) reply.header('allow', allowed.sort().join(', '))
    const body = unknown
      ? problemDetails(
          'NOT_FOUND',
          `There is nothing at ${path}; GET ${app.prefix}/docs lists what there is`,
          request.id,
        )
      : problemDetails(
          'METHOD_NOT_ALLOWED',
          `${path} does not take ${request.method}, but ${allowed.join(', ')}`,
          request.id,
        )
    const problem = { body }
    return unknown
      ? sendProblem(reply, problem, prefersText(request.headers.accept, pathOf(request)))
      : sendProblem(reply, problem)
  }
})

/** Whether the connection was closed while an answer was written to it as a stream, such as one that is compressed. */
function leftMeanwhile(error: unknown, { raw }: FastifyReply): boolean {
  return raw.destroyed && (error as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE'
}

/**
 * Paths that fit a route: `:name` is a parameter, perhaps with a pattern of its own, `::` a colon, `*` whatever
 * follows.
 */
function patternOf(url: string): RegExp {
  const path = url.replace(/::|:\w+(?:\(([^)]*)\))?|[.*+?^${}()|[\]\\]/g, (part, own?: string) => {
    if (part === '::') return ':'
    if (part === '*') return '.*'
    return part.startsWith(':') ? (own ?? '[^/]+') : `\\${part}`
  })
  return new RegExp(`^${path}/?$`)
}

/**
 * TensorFlow Serving and the Open Inference Protocol: their clients read an error's text, and from bare
 * `application/json` alone.
 */
const protocols = /^\/v[12](?:[/?]|$)/

/** Whether an error is answered as these clients read it. */
export const isOfProtocol = (path: string): boolean => protocols.test(path)

/** Below the prefix of the application. */
function pathOf({ url, server }: FastifyRequest): string {
  return url.slice(server.prefix.length)
}

/** Whether an error is to be `{"error": …}`: as the request's `Accept` says, else as clients of such a path expect. */
function prefersText(accept: string | undefined, path: string): boolean {
  if (accept?.includes('application/problem+json')) return false
  return accept?.includes('application/json') || isOfProtocol(path)
}

/** These protocols have no list of problems: the message names the first ones. */
const problemsInText = 3

/** Answers a problem, in the form that clients of the path expect, or in another (`text`). */
export function sendProblem(
  reply: FastifyReply,
  { body, retryAfterSeconds }: ProblemAnswer,
  text = isOfProtocol(pathOf(reply.request)),
): FastifyReply {
  noteProblem(reply.request, body)
  if (retryAfterSeconds !== undefined) reply.header('retry-after', retryAfterSeconds)
  if (text) {
    // A string would be given a charset.
    return reply
      .status(body.status)
      .type('application/json')
      .send(Buffer.from(problemText(body)))
  }
  return reply.status(body.status).type('application/problem+json').serializer(JSON.stringify).send(body)
}

/** A problem as clients of these protocols read it. */
export function problemText({ detail, errors = [] }: ProblemAnswer['body']): string {
  return JSON.stringify({ error: errors.length > 1 ? describeProblems(errors, problemsInText) : detail })
}

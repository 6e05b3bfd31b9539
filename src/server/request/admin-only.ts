import type { FastifyReply, FastifyRequest } from 'fastify'
import { shortName } from '../../model/base/known-names.ts'
import { closeUnlessSmall } from '../errors/close-unless-small.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { keyOf } from '../security/guarded.ts'
import { isCrossOrigin, isSafeHost } from '../security/web-pages.ts'
import type { ServerContext } from './context.ts'

/**
 * A hook that refuses requests where administration is not enabled. Where no key is asked for, it also refuses what a browser
 * may send for a web page that has nothing to do with this server.
 */
export function adminOnly({ admin, allowedHosts }: Pick<ServerContext, 'admin' | 'allowedHosts'>) {
  return (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const reason = admin ? keyOf(request) === undefined && pageReason(request, allowedHosts) : disabled
    if (!reason) {
      done()
      return
    }
    closeUnlessSmall(request, reply)
    sendProblem(reply, { body: problemDetails('FORBIDDEN', reason, request.id) })
  }
}

const disabled = 'Administration is not enabled here: it is by MULTIGATE_ADMIN=true'

/** Why a request without a key is refused, if it is. */
function pageReason({ headers }: FastifyRequest, allowedHosts: ReadonlySet<string> | undefined): string | undefined {
  if (isCrossOrigin(headers)) return 'Pages of other origins may not administer this server without a key'
  const { host } = headers
  if (!host || isSafeHost(host, allowedHosts)) return undefined
  return `Administration without a key is not answered at ${shortName(host)}: ask an IP address or localhost, or add the name to MULTIGATE_ALLOWED_HOSTS`
}

import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { shortName } from '../../base/names.ts'
import { sendProblem } from '../errors/error-handler.ts'
import { problemDetails } from '../errors/problem-details.ts'
import { closeUnlessSmall } from '../errors/sent-problem.ts'
import { keyOfRequest } from '../security/guarded.ts'
import type { ServerContext } from './context.ts'

/**
 * A hook that refuses requests where administration is not enabled. Where no key is asked for, it also refuses what a
 * browser may send for a web page that has nothing to do with this server.
 */
export function adminOnly({ admin, allowedHosts }: Pick<ServerContext, 'admin' | 'allowedHosts'>) {
  return (request: FastifyRequest, reply: FastifyReply, done: () => void): void => {
    const reason = admin ? keyOfRequest(request) === undefined && pageReason(request, allowedHosts) : disabled
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

/*
 * Any web page can have the browser of its reader send requests to addresses that only the reader reaches, such as
 * 127.0.0.1. Where there is no key, these two tests tell such requests from those of clients and of the server's own
 * pages.
 */

/**
 * Whether a browser sends it for a page of another origin. Browsers that send no `Sec-Fetch-Site`, as to plain HTTP on
 * other hosts than this one, send an `Origin` with everything that changes something; other clients send neither. (The
 * order is that of Go's http.CrossOriginProtection: behind a proxy that sets `Host`, only the browser knows the page's
 * origin.)
 */
export function isCrossOrigin({ host, origin, 'sec-fetch-site': site }: IncomingHttpHeaders): boolean {
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  return origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host)
}

/**
 * Names that nobody can register: without a dot, or below a domain for local use (RFC 6761, RFC 6762, ICANN's internal,
 * Kubernetes' svc).
 */
const unregistrable = /^[^.]+$|\.(?:localhost|local|internal|svc)$/

/**
 * Whether no page can have been loaded from this host but one of this server. With DNS rebinding, a page's own name
 * leads to this server once the page is there, and the browser takes both for one origin: only the `Host` header
 * differs.
 */
export function isSafeHost(host: string, allowed?: ReadonlySet<string>): boolean {
  if (!URL.canParse(`http://${host}`)) return false
  const name = new URL(`http://${host}`).hostname.replace(/\.$/, '')
  return isIP(name.replace(/^\[|\]$/g, '')) !== 0 || unregistrable.test(name) || allowed?.has(name) === true
}

import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'

/*
 * Any web page can have the browser of its reader send requests to addresses that only the reader reaches, such as
 * 127.0.0.1. Where there is no key, these two tests tell such requests from those of clients and of the server's own pages.
 */

/**
 * Whether a browser sends it for a page of another origin. Browsers that send no `Sec-Fetch-Site`, as to plain HTTP on other
 * hosts than this one, send an `Origin` with everything that changes something; other clients send neither. (The order is that
 * of Go's http.CrossOriginProtection: behind a proxy that sets `Host`, only the browser knows the page's origin.)
 */
export function isCrossOrigin({ host, origin, 'sec-fetch-site': site }: IncomingHttpHeaders): boolean {
  if (site !== undefined) return site !== 'same-origin' && site !== 'none'
  return origin !== undefined && !(URL.canParse(origin) && new URL(origin).host === host)
}

/** Names that nobody can register: without a dot, or below a domain for local use (RFC 6761, RFC 6762, ICANN's internal, Kubernetes' svc). */
const unregistrable = /^[^.]+$|\.(?:localhost|local|internal|svc)$/

/**
 * Whether no page can have been loaded from this host but one of this server. With DNS rebinding, a page's own name leads to
 * this server once the page is there, and the browser takes both for one origin: only the `Host` header differs.
 */
export function isSafeHost(host: string, allowed?: ReadonlySet<string>): boolean {
  if (!URL.canParse(`http://${host}`)) return false
  const name = new URL(`http://${host}`).hostname.replace(/\.$/, '')
  return isIP(name.replace(/^\[|\]$/g, '')) !== 0 || unregistrable.test(name) || allowed?.has(name) === true
}

import { splitCredentials } from '../../../base/address-credentials.ts'
import { getOverHttp } from '../../stores/fetch-checked.ts'
import { createIndexedSource, type SyncSource } from '../source.ts'

/**
 * A web server; `token`, if there is one, is sent as a bearer token. A user and password in the address are sent
 * instead.
 */
export function openHttp(address: URL, token: string | undefined): SyncSource {
  const { url: base, authorization = token && `Bearer ${token}` } = splitCredentials(address)
  base.hash = ''
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  const name = `${base.origin}${base.pathname}`.replace(/\/$/, '')
  return createIndexedSource(name, async (path, tag, signal) => {
    const url = new URL(base)
    url.pathname += path.split('/').map(encodeURIComponent).join('/')
    return getOverHttp(url, { ...(authorization && { authorization }), ...(tag && { 'if-none-match': tag }) }, signal)
  })
}

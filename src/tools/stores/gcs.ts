import type { Readable } from 'node:stream'
import { bodyOf, fetchChecked, getOverHttp, sendOverHttp } from './fetch-checked.ts'
import {
  type Bucket,
  type Content,
  type ListedObject,
  type ObjectHead,
  type PutCondition,
  readAll,
  storeError,
} from './object-store.ts'

/** Bytes of the document that describes an object, at most: it has up to 8 KiB of metadata, and lists of access. */
const longestDescription = 256 * 1024

/** Objects of one part of a list, and bytes of its text at most: names have up to 1 KiB, and may be escaped. */
const listed = 1000
const longestList = 8 * 1024 * 1024

const scopes = 'https://www.googleapis.com/auth/devstorage'

/**
 * A bucket of Google Cloud Storage. Credentials come from where Google's tools find them:
 * `GOOGLE_APPLICATION_CREDENTIALS`, the user's login, the identity of the pod or the machine. `STORAGE_EMULATOR_HOST`
 * is asked without any. `mayWrite`: whether to ask for the permission to put objects.
 */
export async function openGcs(bucket: string, prefix: string, mayWrite: boolean): Promise<Bucket> {
  const emulator = process.env.STORAGE_EMULATOR_HOST
  const base = emulator
    ? emulator.includes('://')
      ? emulator
      : `http://${emulator}`
    : 'https://storage.googleapis.com'
  const scope = `${scopes}.${mayWrite ? 'read_write' : 'read_only'}`
  const authorization = emulator ? async () => undefined : await createAuthorization(scope)
  const name = `gs://${bucket}${prefix && `/${prefix}`}`
  const keyOf = (path: string) => (prefix === '' ? path : `${prefix}/${path}`)
  const objects = `/v1/b/${encodeURIComponent(bucket)}/o`
  const urlOf = (path: string, query = '') =>
    new URL(`/storage${objects}/${encodeURIComponent(keyOf(path))}${query}`, base)
  async function headers(): Promise<Record<string, string>> {
    const token = await authorization().catch((cause) => {
      throw storeError(name, cause)
    })
    return token ? { authorization: token } : {}
  }
  return {
    name,
    async get(path, tag, signal) {
      return getOverHttp(
        urlOf(path, '?alt=media'),
        { ...(await headers()), ...(tag && { 'if-none-match': tag }) },
        signal,
      )
    },
    async head(path, signal) {
      // Those who may only write are answered 403.
      const answer = await fetchChecked(urlOf(path), await headers(), signal, [403, 404])
      const body = bodyOf(answer)
      if (answer.status === 200)
        return parseDescription(`${name}/${path}`, await readAll(`${name}/${path}`, body, longestDescription))
      body.destroy()
      return undefined
    },
    async put(path, content, condition, signal) {
      const query = new URLSearchParams({ uploadType: 'resumable', name: keyOf(path), ...conditionOf(condition) })
      return putResumable(
        `${name}/${path}`,
        new URL(`/upload/storage${objects}?${query}`, base),
        await headers(),
        content,
        signal,
      )
    },
    async list(next, signal) {
      const query = new URLSearchParams({
        ...{ prefix: keyOf(''), maxResults: String(listed), fields: 'items(name,size),nextPageToken' },
        ...(next !== undefined && { pageToken: next }),
      })
      const answer = await fetchChecked(new URL(`/storage${objects}?${query}`, base), await headers(), signal)
      return parseList(name, await readAll(name, bodyOf(answer), longestList), keyOf('').length)
    },
  }
}

const conditionOf = (condition: PutCondition) =>
  condition && { ifGenerationMatch: 'ifTag' in condition ? condition.ifTag : '0' }

function parseDescription(name: string, text: Buffer): ObjectHead {
  const { size, generation, md5Hash } = fieldsOf(text)
  if (typeof size !== 'string' || typeof generation !== 'string')
    throw storeError(name, new Error('its description has no size or generation'))
  // An object that was composed of others has none.
  const md5 = typeof md5Hash === 'string' ? Buffer.from(md5Hash, 'base64').toString('hex') : undefined
  return { bytes: Number(size), tag: generation, md5 }
}

/** A part of a list; `start`: where paths begin in names. */
function parseList(name: string, text: Buffer, start: number) {
  const { items = [], nextPageToken } = fieldsOf(text)
  if (!Array.isArray(items)) throw storeError(name, new Error('its answer is no list of objects'))
  const objects = items.map((item: Partial<Record<string, unknown>> | null): ListedObject => {
    if (typeof item?.name !== 'string') throw storeError(name, new Error('its list has an object without a name'))
    return { path: item.name.slice(start), bytes: Number(item.size ?? 0) }
  })
  return { objects, next: typeof nextPageToken === 'string' ? nextPageToken : undefined }
}

/** None, where the text is no object. */
function fieldsOf(text: Buffer): Partial<Record<string, unknown>> {
  try {
    return JSON.parse(text.toString()) ?? {}
  } catch {
    return {}
  }
}

/**
 * An upload of two requests: the first is refused where the condition does not hold, before anything is sent; the
 * object is there once the second has ended, if it has the digest.
 * https://cloud.google.com/storage/docs/performing-resumable-uploads
 */
async function putResumable(
  name: string,
  url: URL,
  headers: Record<string, string>,
  { bytes, md5, read }: Content,
  signal: AbortSignal,
): Promise<'stored' | 'conflict'> {
  const refused = url.searchParams.has('ifGenerationMatch') ? [412] : []
  const send = (url: URL, method: string, headers: Record<string, string>, body: string | Readable) =>
    sendOverHttp(url, { name, method, headers, body, signal, expected: refused })
  const json = { ...headers, 'content-type': 'application/json; charset=UTF-8' }
  const md5Hash = Buffer.from(md5, 'hex').toString('base64')
  const begun = await send(url, 'POST', json, JSON.stringify({ md5Hash }))
  if (begun.status === 412) return 'conflict'
  const location = begun.headers.get('location') ?? ''
  if (!URL.canParse(location) || new URL(location).origin !== url.origin)
    throw storeError(name, new Error('the server names no address to send the object to'))
  const sent = await send(
    new URL(location),
    'PUT',
    { 'content-type': 'application/octet-stream', 'content-length': String(bytes) },
    bytes === 0 ? '' : read(),
  )
  return sent.status === 412 ? 'conflict' : 'stored'
}

/** The value of the header; the library renews it. */
async function createAuthorization(scope: string): Promise<() => Promise<string | undefined>> {
  const { GoogleAuth } = await import('google-auth-library')
  const auth = new GoogleAuth({ scopes: [scope] })
  return async () => (await auth.getRequestHeaders()).get('authorization') ?? undefined
}

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import Type from 'typebox'
import { fileProblem } from '../../../base/files.ts'
import { homeFolder } from '../../../base/user-folders.ts'
import { isVersion } from '../../../model/serving/registry/source.ts'
import { highestFile, tablesFolder } from '../../../model/serving/tables/table-folder.ts'
import { isObject } from '../../../schemas/json.ts'
import type { IndexedFiles, IndexedModel } from '../../../schemas/models-folder.ts'
import { bodyOf, fetchChecked } from '../../stores/fetch-checked.ts'
import { readAll } from '../../stores/object-store.ts'
import {
  checkModels,
  checkTables,
  indexFile,
  isBesideVersions,
  type Listing,
  parseDocument,
  quoted,
} from '../index-file.ts'
import type { SourceIndex, SyncSource } from '../source.ts'
import { tablesIndexFile } from '../tables-index.ts'

/*
 * An artefact of an OCI registry, as `oras push` makes it: one layer for each file, titled with its path. The
 * artefact's manifest is the index: it has size and digest of every layer.
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 */

const title = 'org.opencontainers.image.title'
const manifestType = 'application/vnd.oci.image.manifest.v1+json'

const OciManifest = Type.Object({
  layers: Type.Array(
    Type.Object({
      digest: Type.String({ pattern: '^sha256:[0-9a-f]{64}$' }),
      size: Type.Integer({ minimum: 0 }),
      annotations: Type.Optional(Type.Record(Type.String(), Type.String())),
    }),
  ),
})

/** Bytes of the answer of a server of tokens, at most. */
const largestToken = 1024 * 1024

export interface OciReference {
  registry: string
  repository: string
  /** A tag, or a digest such as `sha256:…`. */
  reference: string
}

/** Parses `registry[:port]/repository[:tag | @sha256:…]`; undefined if it is something else. */
export function parseOciReference(text: string): OciReference | undefined {
  const match =
    /^([\w.-]+(?::\d{1,5})?|\[[\da-f:]+\](?::\d{1,5})?)\/([a-z0-9][a-z0-9._/-]*?)(?::([\w][\w.-]{0,127})|@(sha256:[0-9a-f]{64}))?$/.exec(
      text,
    )
  if (match === null) return undefined
  return { registry: match[1]!, repository: match[2]!, reference: match[3] ?? match[4] ?? 'latest' }
}

/**
 * Credentials are those of `docker login` (`DOCKER_CONFIG`); a registry on the loopback interface is asked without TLS.
 */
export function openOci({ registry, repository, reference }: OciReference): SyncSource {
  const name = `oci://${registry}/${repository}${reference.includes(':') ? '@' : ':'}${reference}`
  const isLocal = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(registry)
  const base = new URL(`${isLocal ? 'http' : 'https'}://${registry}/v2/${repository}/`)
  let authorization: string | undefined
  const get = async (path: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> => {
    const url = new URL(path, base)
    const ask = (expected: number[]) =>
      fetchChecked(url, { ...headers, ...(authorization && { authorization }) }, signal, expected)
    const answer = await ask([401])
    if (answer.status !== 401) return answer
    await answer.body?.cancel()
    authorization = await authorize(
      answer.headers.get('www-authenticate') ?? '',
      { registry, repository },
      base,
      signal,
    )
    return ask([])
  }
  const index: SourceIndex = {
    name,
    async open(tag, signal) {
      const answer = await get(`manifests/${reference}`, { accept: manifestType }, signal)
      const current = answer.headers.get('docker-content-digest') ?? undefined
      if (tag === undefined || current !== tag) return { body: bodyOf(answer), tag: current }
      await answer.body?.cancel()
      return undefined
    },
    parse(content, tag) {
      const stated = reference.includes(':') ? reference : tag
      const found = `sha256:${createHash('sha256').update(content).digest('hex')}`
      if (stated?.startsWith('sha256:') && found !== stated)
        throw new Error(`is damaged: its digest is ${found}, not ${quoted(stated)}`)
      return parseOciManifest(content.toString('utf8'))
    },
  }
  return {
    name,
    index,
    async open(_path, { sha256 }, signal) {
      return { body: bodyOf(await get(`blobs/sha256:${sha256}`, {}, signal)) }
    },
  }
}

/** The listing that the layers of an artefact make. Throws an Error whose message goes on after the artefact's name. */
export function parseOciManifest(text: string): Listing {
  const manifest = parseDocument(OciManifest, text, 'is no artefact: ')
  // Any name is only a name here, `__proto__` too.
  const models: Record<string, IndexedModel> = Object.create(null)
  const tables: typeof models = Object.create(null)
  const titles = new Set<string>()
  manifest.layers.forEach(({ digest, size, annotations = {} }, i) => {
    const path = annotations[title]
    const file = { bytes: size, sha256: digest.slice('sha256:'.length) }
    if (path === indexFile || path === tablesIndexFile || path?.startsWith(`${tablesFolder}/${highestFile('')}`)) return
    if (annotations['io.deis.oras.content.unpack'] === 'true')
      throw new Error(`/layers/${i} is an archive of a folder: push files, not folders`)
    if (path !== undefined && titles.has(path))
      throw new Error(`/layers/${i} has the title of another: ${quoted(path)}`)
    titles.add(path ?? '')
    const names = path?.split('/') ?? []
    const isTable = names[0] === tablesFolder
    const [model, version, ...rest] = isTable ? names.slice(1) : names
    const entry = () => ((isTable ? tables : models)[model!] ??= { versions: {} })
    if (version !== undefined && !isTable && isBesideVersions(version) && rest.length === 0) {
      const { files = {} } = entry()
      entry().files = { ...files, [version]: file }
    } else if (version !== undefined && isVersion(version) && rest.length > 0) {
      const { versions } = entry()
      versions[version] ??= Object.create(null) as IndexedFiles
      versions[version][rest.join('/')] = file
    } else throw new Error(`/layers/${i} is titled ${quoted(path)}, not as a file such as ads/7/manifest.json`)
  })
  return { models: { ...checkModels(models), ...checkTables(tables) }, listsTables: Object.keys(tables).length > 0 }
}

/** The header that a registry asks for: basic, or with a token from where it says. */
async function authorize(
  challenge: string,
  { registry, repository }: Omit<OciReference, 'reference'>,
  base: URL,
  signal: AbortSignal,
): Promise<string> {
  const credentials = await dockerCredentials(registry)
  const basic = credentials && `Basic ${credentials}`
  if (/^basic\b/i.test(challenge)) {
    if (basic === undefined)
      throw new Error(`${registry} asks for a password, and docker's configuration has none for it`)
    return basic
  }
  const parameters = Object.fromEntries(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
  )
  const { realm, service, scope = `repository:${repository}:pull` } = parameters
  if (!/^bearer\b/i.test(challenge) || realm === undefined || !URL.canParse(realm))
    throw new Error(`${registry} asks for an unknown authorization: ${quoted(challenge)}`)
  const url = new URL(realm)
  if (url.protocol !== 'https:' && base.protocol === 'https:')
    throw new Error(`${registry} names ${url.protocol}//${url.host} for tokens, which must be https://`)
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', scope)
  const answer = await fetchChecked(url, { ...(basic && { authorization: basic }) }, signal)
  const name = `${url.origin}${url.pathname}`
  const text = (await readAll(name, bodyOf(answer), largestToken)).toString('utf8')
  const token = tokenOf(text)
  if (token === undefined) throw new Error(`${name} answers without a token`)
  return `Bearer ${token}`
}

function tokenOf(text: string): string | undefined {
  const { token, access_token } = objectOf(text) ?? {}
  return [token, access_token].find((found) => typeof found === 'string' && found !== '') as string | undefined
}

/** Undefined for another text, which may hold secrets: the parser's message would quote it. */
function objectOf(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** `user:password` in base64, from docker's configuration. */
async function dockerCredentials(registry: string): Promise<string | undefined> {
  const home = homeFolder()
  const folder = process.env.DOCKER_CONFIG ?? (home && join(home, '.docker'))
  if (folder === undefined) return undefined
  const file = join(folder, 'config.json')
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Error(`${file} ${fileProblem(cause)}`, { cause })
  }
  const configuration = objectOf(text)
  if (configuration === undefined) throw new Error(`${file} is not JSON, or holds no object`)
  const { auths } = configuration
  if (!isObject(auths)) return undefined
  const entry = auths[registry] ?? auths[`https://${registry}`]
  return isObject(entry) && typeof entry.auth === 'string' ? entry.auth : undefined
}

import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import Type, { type Static } from '#typebox'
import { fileProblem } from '../../model/base/regular-file.ts'
import { isVersion } from '../../model/registry/source.ts'
import { check } from '../../schemas/check.ts'
import type { ProblemItem } from '../../schemas/problem.ts'
import type { IndexedFiles, IndexedModel, SyncIndex } from '../../schemas/sync-index.ts'
import { checkNames, indexFile, isBesideVersions, largestIndex } from '../index-file.ts'
import { readAll, type SyncSource } from '../source.ts'
import { bodyOf, fetchChecked } from './http.ts'

/*
 * An artefact of an OCI registry, as `oras push` makes it: one layer for each file, titled with its path. The artefact's manifest
 * is the index: it has size and digest of every layer.
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

export interface OciReference {
  registry: string
  repository: string
  /** A tag, or a digest such as `sha256:…`. */
  reference: string
}

/** Parses `registry[:port]/repository[:tag | @sha256:…]`; undefined if it is something else. */
export function parseOciReference(text: string): OciReference | undefined {
  const match = /^([^/@]+)\/([a-z0-9][a-z0-9._/-]*?)(?::([\w][\w.-]{0,127})|@(sha256:[0-9a-f]{64}))?$/.exec(text)
  if (match === null) return undefined
  return { registry: match[1]!, repository: match[2]!, reference: match[3] ?? match[4] ?? 'latest' }
}

/** Credentials are those of `docker login` (`DOCKER_CONFIG`); a registry on the loopback interface is asked without TLS. */
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
    authorization = await authorize(answer.headers.get('www-authenticate') ?? '', { registry, repository }, signal)
    return ask([])
  }
  return {
    name,
    async readIndex(tag, signal) {
      const answer = await get(`manifests/${reference}`, { accept: manifestType }, signal)
      const current = answer.headers.get('docker-content-digest') ?? undefined
      if (current !== undefined && current === tag) {
        await answer.body?.cancel()
        return undefined
      }
      try {
        return { index: parseOciManifest((await readAll(bodyOf(answer), largestIndex)).toString('utf8')), tag: current }
      } catch (cause) {
        throw new Error(`${name} ${(cause as Error).message}`, { cause })
      }
    },
    async open(_path, { sha256 }, signal) {
      return bodyOf(await get(`blobs/sha256:${sha256}`, {}, signal))
    },
  }
}

/** The index that the layers of an artefact make. Throws an Error whose message goes on after the artefact's name. */
export function parseOciManifest(text: string): SyncIndex {
  const problems: ProblemItem[] = []
  const { layers } = check(OciManifest, JSON.parse(text), '', problems) as Static<typeof OciManifest>
  if (problems.length > 0) throw new Error(`is no artefact: ${problems[0]!.path} ${problems[0]!.message}`)
  // Any name is only a name here, `__proto__` too.
  const models: Record<string, IndexedModel> = Object.create(null)
  const modelOf = (name: string) => (models[name] ??= { versions: {} })
  layers.forEach(({ digest, size, annotations = {} }, i) => {
    const path = annotations[title]
    const file = { bytes: size, sha256: digest.slice('sha256:'.length) }
    const [model, version, ...rest] = path?.split('/') ?? []
    if (path === indexFile) return
    if (annotations['io.deis.oras.content.unpack'] === 'true')
      throw new Error(`/layers/${i} is an archive of a folder: push files, not folders`)
    if (model !== undefined && version !== undefined && isBesideVersions(version) && rest.length === 0) {
      const entry = modelOf(model)
      entry.files ??= {}
      entry.files[version] = file
    } else if (model !== undefined && version !== undefined && isVersion(version) && rest.length > 0) {
      const { versions } = modelOf(model)
      versions[version] ??= Object.create(null) as IndexedFiles
      versions[version][rest.join('/')] = file
    } else throw new Error(`/layers/${i} is titled ${JSON.stringify(path)}, not as a file such as ads/7/manifest.json`)
  })
  const index: SyncIndex = { format: 1, models }
  checkNames(index)
  return index
}

/** The header that a registry asks for: basic, or with a token from where it says. */
async function authorize(
  challenge: string,
  { registry, repository }: Omit<OciReference, 'reference'>,
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
    throw new Error(`${registry} asks for an unknown authorization: ${JSON.stringify(challenge.slice(0, 200))}`)
  const url = new URL(realm)
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', scope)
  const answer = await fetchChecked(url, { ...(basic && { authorization: basic }) }, signal)
  const { token, access_token } = (await answer.json()) as { token?: string; access_token?: string }
  if (!token && !access_token) throw new Error(`${url.origin}${url.pathname} answers without a token`)
  return `Bearer ${token ?? access_token}`
}

/** `user:password` in base64, from docker's configuration. */
async function dockerCredentials(registry: string): Promise<string | undefined> {
  const file = join(process.env.DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json')
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Error(`${file} ${fileProblem(cause)}`, { cause })
  }
  const { auths } = JSON.parse(text) as { auths?: Record<string, { auth?: string }> }
  return (auths?.[registry] ?? auths?.[`https://${registry}`])?.auth
}

import { createHash, timingSafeEqual } from 'node:crypto'
import type { Tenant } from '../../model/contracts/engine.ts'
import { KeyFile, type Scope } from '../../schemas/keys.ts'
import { allProblems, createChecker } from '../plugins/validation.ts'

const keyFile = createChecker(KeyFile)

/** The entry of a key: never the key itself. */
export interface Key {
  id: string
  scopes: ReadonlySet<Scope>
  /** Undefined: all. */
  models: ReadonlySet<string> | undefined
  /** From then on it opens nothing; ms since 1970, Infinity: never. */
  expires: number
  requestsPerSecond: number | undefined
  rowsPerSecond: number | undefined
  /** Requests in progress at a time. */
  concurrentRequests: number | undefined
  /** The shares of a model's queue and candidate cache that its requests may hold. */
  tenant: Tenant
}

interface Entry {
  digest: Buffer
  key: Key
}

/** A key that is presented may be this long; a longer one is unknown, and not hashed. */
const longestKey = 512

/** Other texts are times to JavaScript, too. */
const isoTime = /^\d{4}-\d\d-\d\d/

const nothing = Buffer.alloc(32)

/** The keys of a file, found by what a client presents. */
export class Keyring {
  /** By the first bytes of their digests, which tell nothing of a key. */
  readonly #entries = new Map<number, Entry[]>()
  readonly keys: readonly Key[]

  /** Throws an Error that says what is wrong with the text of a file of keys. */
  constructor(text: string) {
    const keys: Key[] = []
    for (const { id, sha256, scopes, models, expires, requests_per_second, rows_per_second, ...others } of parse(
      text,
    )) {
      const digest = Buffer.from(sha256, 'hex')
      const key: Key = {
        id,
        scopes: new Set(scopes),
        models: models && new Set(models),
        expires: expires === undefined ? Number.POSITIVE_INFINITY : Date.parse(expires),
        requestsPerSecond: requests_per_second,
        rowsPerSecond: rows_per_second,
        concurrentRequests: others.concurrent_requests,
        tenant: { id, queueShare: others.queue_share ?? 1, cacheShare: others.cache_share ?? 1 },
      }
      const start = digest.readUInt32LE()
      const entries = this.#entries.get(start)
      if (entries === undefined) this.#entries.set(start, [{ digest, key }])
      else entries.push({ digest, key })
      keys.push(key)
    }
    this.keys = keys
  }

  /** The key that was presented; undefined where none of the file is it. Takes as long for one as for the other. */
  find(presented: string): Key | undefined {
    if (presented.length > longestKey) return undefined
    const digest = createHash('sha256').update(presented).digest()
    let found: Key | undefined
    for (const entry of this.#entries.get(digest.readUInt32LE()) ?? []) {
      if (timingSafeEqual(entry.digest, digest)) found = entry.key
    }
    if (found === undefined) timingSafeEqual(nothing, digest)
    return found
  }
}

function parse(text: string): KeyFile['keys'] {
  const file = readJson(text)
  const [problem] = allProblems(keyFile, file)
  if (problem !== undefined) throw new Error(`${problem.path || 'it'} ${problem.message}`)
  const { keys } = file as KeyFile
  const seen = new Set<string>()
  for (const [i, { id, sha256, expires, scopes, models }] of keys.entries()) {
    if (seen.has(id)) throw new Error(`/keys/${i}/id ${id} is there twice`)
    if (seen.has(sha256)) throw new Error(`/keys/${i}/sha256 is that of another entry`)
    if (models !== undefined && scopes.some((scope) => scope !== 'predict'))
      throw new Error(
        `/keys/${i}/models goes with the scope predict alone: metrics and administration are of all models`,
      )
    if (expires !== undefined && !(isoTime.test(expires) && Date.parse(expires) >= 0))
      throw new Error(`/keys/${i}/expires must be an ISO 8601 time, such as 2027-01-31T00:00:00Z`)
    seen.add(id).add(sha256)
  }
  return keys
}

function readJson(text: string): unknown {
  if (text.trim() === '') throw new Error('it is empty')
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own message quotes the text.
    throw new Error('it is not JSON')
  }
}

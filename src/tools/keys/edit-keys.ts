import { createHash, randomBytes } from 'node:crypto'
import { readFile, readlink, realpath, rm, stat, writeFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { reasonOf } from '../../base/errors.ts'
import { fileProblem, replaceFile, sizeOfOrdinary } from '../../base/files.ts'
import { formatTable } from '../../base/terminal.ts'
import type { KeyEntry, KeyFile } from '../../schemas/keys.ts'
import { Keyring } from '../../server/security/keyring.ts'

/** Bytes of randomness of a key. */
const keyBytes = 32

/**
 * Adds a key, of which the file gets what recognises it; a file that is missing is created, for its owner alone.
 * Rejects where the id is taken, or where the file can't be read or written.
 */
export async function addKey(
  file: string,
  entry: Omit<KeyEntry, 'sha256'>,
): Promise<{ key: string; created: boolean }> {
  const key = `mg_${randomBytes(keyBytes).toString('base64url')}`
  const sha256 = createHash('sha256').update(key).digest('hex')
  return alone(file, async () => {
    const { keys, missing } = await readFileOf(file)
    if (keys.some(({ id }) => id === entry.id))
      throw new Error(`${file} has a key ${entry.id} already; revoke it first`)
    const { id, ...rest } = entry
    await write(file, { keys: [...keys, { id, sha256, ...rest }] })
    return { key, created: missing }
  })
}

/** Rejects where there is no such key. */
export async function removeKey(file: string, id: string): Promise<void> {
  await alone(file, async () => {
    const { keys } = await readFileOf(file, true)
    const left = keys.filter((entry) => entry.id !== id)
    if (left.length === keys.length) throw new Error(`${file} has no key ${id}`)
    await write(file, { keys: left })
  })
}

/** How long another command may hold the file, ms; then it has died. */
const longestEdit = 10_000

/** Runs `work` while no other command changes the file: changes would be lost, revoked keys come back. */
async function alone<T>(file: string, work: () => Promise<T>): Promise<T> {
  const lock = `${file}.lock`
  const began = Date.now()
  for (;;) {
    try {
      await writeFile(lock, '', { flag: 'wx' })
      break
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST')
        throw new Error(`${file} can't be written: ${fileProblem(cause)}`)
      const held = await stat(lock).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      )
      if (held > longestEdit) await rm(lock, { force: true })
      else if (Date.now() - began > 2 * longestEdit) throw new Error(`${file} is being changed by another command`)
      await setTimeout(20)
    }
  }
  try {
    return await work()
  } finally {
    await rm(lock, { force: true })
  }
}

/** The keys as a table. */
export async function describeKeys(file: string, now = Date.now()): Promise<string> {
  const { keys } = await readFileOf(file, true)
  if (keys.length === 0) return `${file} has no keys.`
  const rows = keys.map((key) => [
    key.id,
    key.scopes.join(', '),
    key.models?.join(', ') ?? 'all',
    String(key.requests_per_second ?? '—'),
    String(key.rows_per_second ?? '—'),
    String(key.concurrent_requests ?? '—'),
    String(key.queue_share ?? '—'),
    String(key.cache_share ?? '—'),
    key.expires === undefined ? 'never' : `${key.expires}${Date.parse(key.expires) <= now ? ' (expired)' : ''}`,
  ])
  return formatTable(
    ['id', 'scopes', 'models', 'requests/s', 'rows/s', 'at a time', 'queue', 'cache', 'expires'],
    rows,
    3,
  )
}

async function readFileOf(file: string, mustExist = false): Promise<{ keys: KeyEntry[]; missing: boolean }> {
  let text: string
  try {
    // A pipe would block.
    await sizeOfOrdinary(file)
    text = await readFile(file, 'utf8')
  } catch (cause) {
    if (!mustExist && (cause as NodeJS.ErrnoException).code === 'ENOENT') {
      const link = await readlink(file).catch(() => undefined)
      if (link !== undefined) throw new Error(`${file} is a link to ${link}, which is missing`)
      return { keys: [], missing: true }
    }
    throw new Error(`${file} ${fileProblem(cause)}`)
  }
  if (await isWritableByAll(file)) throw new Error(`${file} is writable by everyone, who could add keys: chmod o-w`)
  check(file, text)
  return { keys: (JSON.parse(text) as KeyFile).keys, missing: false }
}

/** Not on Windows, where the mode says nothing. */
async function isWritableByAll(file: string): Promise<boolean> {
  return process.platform !== 'win32' && ((await stat(file)).mode & 0o002) !== 0
}

function check(file: string, text: string): void {
  try {
    new Keyring(text)
  } catch (error) {
    throw new Error(`${file} can't be used: ${reasonOf(error)}`)
  }
}

/** In one step, so that no server reads half of it. */
async function write(file: string, keys: KeyFile): Promise<void> {
  const text = `${JSON.stringify(keys, null, 2)}\n`
  check(file, text)
  const path = await realpath(file).catch(() => file)
  const mode = await stat(path).then(
    (found) => found.mode & 0o777,
    () => 0o600,
  )
  await replaceFile(path, text, mode).catch((cause) => {
    throw new Error(`${file} can't be written: ${fileProblem(cause)}`)
  })
}

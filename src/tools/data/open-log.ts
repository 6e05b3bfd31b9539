import { type FileHandle, open, readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { hideCredentials } from '../../base/address-credentials.ts'
import { ModelError } from '../../base/errors.ts'
import { makeTemporaryFolder } from '../../base/process-folders.ts'
import { inOrder, isLogFile, type LogFile, logFiles, unlessNone } from '../../prediction-log/log-records.ts'
import { AbsentObject, type Bucket, readAll, type StoredObject } from '../stores/object-store.ts'
import { folderOf, openBucket } from '../stores/open-store.ts'
import { createPatience, type Patience } from '../stores/patience.ts'

/** A prediction log, in a folder or a bucket. */
export interface PredictionLog {
  /** Its folder or address, without credentials. */
  name: string
  /** The files with records, the oldest first. */
  files: LogFile[]
  /** The manifests beside them. */
  manifests: LogManifest[]
}

/** The manifest of a version that is logged. */
export interface LogManifest {
  path: string
  read(): Promise<string>
}

/** Most bytes of a manifest in a bucket. */
const largestManifest = 256 * 2 ** 20
/** How often a file of a bucket is asked for where the connection breaks. */
const mostTries = 3

const manifestName = /^manifest-[0-9a-f]+\.json$/
const never = new AbortController().signal

/** The path or address of a log; a path is relative to `base`. */
export function locateLog(log: string, base: string): string {
  const folder = folderOf(log)
  return folder === undefined ? log : resolve(base, folder)
}

/**
 * Lists a log: a folder, `s3://bucket/prefix` or `gs://bucket/prefix`. A file of a bucket is brought here when it is
 * read, one at a time. Rejects where it can't be listed.
 */
export async function openLog(log: string): Promise<PredictionLog> {
  const bucket = await openBucket(log)
  if (bucket) return listBucket(bucket)
  const folder = folderOf(log)
  if (folder === undefined)
    throw new ModelError('INVALID_REQUEST', `${hideCredentials(log)}: a log is in a folder, s3:// or gs://`)
  const files = await logFiles(folder)
  const folders = [...new Set(files.map(({ path }) => dirname(path)))]
  const manifests = await Promise.all(
    folders.map(async (folder) => (await readdir(folder)).filter(isManifest).map((name) => join(folder, name))),
  )
  return {
    name: folder,
    files,
    manifests: manifests.flat().map((path) => ({ path, read: () => readFile(path, 'utf8') })),
  }
}

/** A log that has files. Rejects with MODEL_NOT_FOUND, and where it can't be listed. */
export async function openFullLog(log: string): Promise<PredictionLog> {
  const opened = await openLog(log)
  return { ...opened, files: unlessNone(opened.files, opened.name) }
}

const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1)
const isManifest = (path: string) => manifestName.test(nameOf(path))

async function listBucket(bucket: Bucket): Promise<PredictionLog> {
  const { answer, signal } = createPatience(bucket.name, never)
  const files: LogFile[] = []
  const manifests: LogManifest[] = []
  let next: string | undefined
  do {
    const part = await answer(bucket.list(next, signal))
    for (const { path, bytes } of part.objects) {
      const file = { path: `${bucket.name}/${path}`, name: nameOf(path), isOpen: false }
      if (isLogFile(file.name)) files.push({ ...file, bytes, bring: (signal) => bring(bucket, path, signal) })
      else if (isManifest(path)) manifests.push({ path: file.path, read: () => readText(bucket, path) })
    }
    next = part.next
  } while (next !== undefined)
  return { name: bucket.name, files: inOrder(files), manifests }
}

async function readText(bucket: Bucket, path: string): Promise<string> {
  const patience = createPatience(`${bucket.name}/${path}`, never)
  const { body } = await opened(bucket, path, patience)
  return (await readAll(`${bucket.name}/${path}`, patience.read(body), largestManifest)).toString()
}

const opened = async (bucket: Bucket, path: string, patience: Patience): Promise<StoredObject> =>
  // Without a tag, it is always sent.
  (await patience.open(bucket.get(path, undefined, patience.signal)))!

/** A copy of a file of a bucket, open; undefined: it has been removed. */
async function bring(bucket: Bucket, path: string, signal = never): Promise<FileHandle | undefined> {
  for (let tries = 1; ; tries++) {
    const copy = await openNameless()
    try {
      const patience = createPatience(`${bucket.name}/${path}`, signal)
      const { body } = await opened(bucket, path, patience)
      for await (const chunk of patience.read(body)) await copy.writeFile(chunk)
      return copy
    } catch (error) {
      await copy.close()
      const isAbsent = error instanceof AbsentObject
      if (isAbsent && error.isCertain) return undefined
      if (isAbsent || tries === mostTries || signal.aborted) throw error
    }
  }
}

/** A temporary file without a name: nothing is left of it, even where this process is killed. */
async function openNameless(): Promise<FileHandle> {
  const folder = await makeTemporaryFolder('log')
  try {
    return await open(join(folder, 'file'), 'wx+', 0o600)
  } finally {
    await rm(folder, { recursive: true })
  }
}

import { hideCredentials } from '../../base/address-credentials.ts'
import type { Bucket, ObjectStore } from './object-store.ts'

/** The scheme of an address, in lower case, and what follows it; no scheme where it is a path of this machine. */
export function splitAddress(address: string): { scheme: string | undefined; rest: string } {
  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(address) ?? []
  return { scheme: scheme?.toLowerCase(), rest }
}

/**
 * Opens a store by its address: a folder, `file://…`, `s3://bucket/prefix` or `gs://bucket/prefix`; undefined for any
 * other scheme. `mayWrite`: whether objects are to be put. Only what that kind needs is loaded. Rejects with an Error
 * that shows no password of the address.
 */
export async function openStore(address: string, mayWrite = false): Promise<ObjectStore | undefined> {
  const folder = folderOf(address)
  if (folder === undefined) return openBucket(address, mayWrite)
  return (await import('./folder.ts')).openFolder(folder)
}

/** The path of a folder of this machine that an address is of; undefined: it is of something else. */
export function folderOf(address: string): string | undefined {
  const { scheme } = splitAddress(address)
  if (scheme === undefined) return address
  return scheme === 'file' ? decodeURIComponent(new URL(address).pathname) : undefined
}

/** Opens `s3://bucket/prefix` or `gs://bucket/prefix`; undefined for any other address. Rejects like `openStore`. */
export async function openBucket(address: string, mayWrite = false): Promise<Bucket | undefined> {
  const { scheme, rest } = splitAddress(address)
  switch (scheme) {
    case 's3': {
      const bucket = splitBucket(address, rest)
      return (await import('./s3.ts')).openS3(...bucket)
    }
    case 'gs': {
      const bucket = splitBucket(address, rest)
      return (await import('./gcs.ts')).openGcs(...bucket, mayWrite)
    }
    default:
      return undefined
  }
}

function splitBucket(address: string, rest: string): [bucket: string, prefix: string] {
  const [bucket = '', ...names] = rest.split('/')
  if (bucket === '') throw new Error(`${hideCredentials(address)} names no bucket, such as s3://bucket/models`)
  // A password may hold a slash.
  if (bucket.includes('@') || (rest.includes('@') && !URL.canParse(address)))
    throw new Error(`${hideCredentials(address)} names a user; credentials of buckets come from their own tools`)
  return [bucket, names.filter((name) => name !== '').join('/')]
}

import { hideCredentials } from '../../base/address-credentials.ts'
import type { SyncSource } from './source.ts'

/**
 * Opens a source by its address: a folder, `https://…`, `s3://bucket/prefix`, `gs://bucket/prefix` or
 * `oci://registry/repository:tag`. Only what that kind needs is loaded. Rejects for anything else with an Error that
 * shows no password of the address.
 */
export async function openSource(address: string, env: NodeJS.ProcessEnv = process.env): Promise<SyncSource> {
  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(address) ?? []
  switch (scheme?.toLowerCase()) {
    case undefined:
    case 'file': {
      const { openFolder } = await import('./sources/folder.ts')
      return openFolder(scheme === undefined ? address : decodeURIComponent(new URL(address).pathname))
    }
    case 'http':
    case 'https': {
      if (!URL.canParse(address))
        throw new Error(`${hideCredentials(address)} is not a URL, such as https://models.example.com/ads`)
      const { openHttp } = await import('./sources/http.ts')
      return openHttp(new URL(address), env.MULTIGATE_SYNC_TOKEN)
    }
    case 's3':
    case 'gs': {
      const [bucket, prefix] = splitBucket(address, rest)
      return scheme?.toLowerCase() === 's3'
        ? (await import('./sources/s3.ts')).openS3(bucket, prefix)
        : (await import('./sources/gcs.ts')).openGcs(bucket, prefix)
    }
    case 'oci': {
      const { openOci, parseOciReference } = await import('./sources/oci.ts')
      const reference = parseOciReference(rest)
      if (reference === undefined)
        throw new Error(
          `${hideCredentials(address)} is not an artefact, such as oci://registry.example.com/team/models:prod`,
        )
      return openOci(reference)
    }
    default:
      throw new Error(`${hideCredentials(address)}: sources are folders, https://, s3://, gs:// and oci://`)
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

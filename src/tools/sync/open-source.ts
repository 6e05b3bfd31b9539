import { hideCredentials } from '../../base/address-credentials.ts'
import { openStore, splitAddress } from '../stores/open-store.ts'
import { createIndexedSource, type SyncSource } from './source.ts'

/**
 * Opens a source by its address: a folder, `https://…`, `s3://bucket/prefix`, `gs://bucket/prefix` or
 * `oci://registry/repository:tag`. Only what that kind needs is loaded. Rejects for anything else with an Error that
 * shows no password of the address.
 */
export async function openSource(address: string, env: NodeJS.ProcessEnv = process.env): Promise<SyncSource> {
  const { scheme, rest } = splitAddress(address)
  switch (scheme) {
    case 'http':
    case 'https': {
      if (!URL.canParse(address))
        throw new Error(`${hideCredentials(address)} is not a URL, such as https://models.example.com/ads`)
      const { openHttp } = await import('./sources/http.ts')
      return openHttp(new URL(address), env.MULTIGATE_SYNC_TOKEN)
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
    default: {
      const store = await openStore(address)
      if (store) return createIndexedSource(store.name, store.get)
      throw new Error(`${hideCredentials(address)}: sources are folders, https://, s3://, gs:// and oci://`)
    }
  }
}

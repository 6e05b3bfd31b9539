import { getOverHttp } from './fetch-checked.ts'
import { type ObjectStore, storeError } from './object-store.ts'

const scope = 'https://www.googleapis.com/auth/devstorage.read_only'

/**
 * A bucket of Google Cloud Storage. Credentials come from where Google's tools find them:
 * `GOOGLE_APPLICATION_CREDENTIALS`, the user's login, the identity of the pod or the machine. `STORAGE_EMULATOR_HOST`
 * is asked without any.
 */
export async function openGcs(bucket: string, prefix: string): Promise<ObjectStore> {
  const emulator = process.env.STORAGE_EMULATOR_HOST
  const base = emulator
    ? emulator.includes('://')
      ? emulator
      : `http://${emulator}`
    : 'https://storage.googleapis.com'
  const authorization = emulator ? async () => undefined : await createAuthorization()
  const name = `gs://${bucket}${prefix && `/${prefix}`}`
  return {
    name,
    async get(path, tag, signal) {
      const key = prefix === '' ? path : `${prefix}/${path}`
      const url = new URL(`/storage/v1/b/${encodeURIComponent(bucket)}/o/${encodeURIComponent(key)}?alt=media`, base)
      const token = await authorization().catch((cause) => {
        throw storeError(name, cause)
      })
      return getOverHttp(url, { ...(token && { authorization: token }), ...(tag && { 'if-none-match': tag }) }, signal)
    },
  }
}

/** The value of the header; the library renews it. */
async function createAuthorization(): Promise<() => Promise<string | undefined>> {
  const { GoogleAuth } = await import('google-auth-library')
  const auth = new GoogleAuth({ scopes: [scope] })
  return async () => (await auth.getRequestHeaders()).get('authorization') ?? undefined
}

import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { pythonWith } from './python.ts'

/*
 * Object stores that others wrote.
 */

export const python = await pythonWith([
  'moto[s3]==5.2.5',
  'flask==3.1.*',
  'flask-cors==6.*',
  'gcp-storage-emulator==2026.7.19',
  'oras==0.2.43',
])
export const needsPython = { skip: typeof python === 'string' ? python : false }

export interface StartedStore {
  port: string
  /** Variables by which programs find it, with credentials. */
  env: Record<string, string>
  /** Stores a file in its bucket `models`. */
  put(key: string, file: string): Promise<void>
  /** Writes an object of this bucket into a file. */
  get(key: string, file: string): Promise<void>
  /** The keys of the bucket. */
  list(): Promise<string[]>
}

/** Starts a store of test/fixtures/object_stores.py. */
export async function startStore(t: Test, kind: 's3' | 'gcs'): Promise<StartedStore> {
  if (typeof python === 'string') throw new Error(python)
  const child = python.start('object_stores.py', [kind])
  t.teardown(() => child.kill('SIGKILL'))
  child.stdin?.on('error', () => undefined)
  const lines = createInterface(child.stdout!)[Symbol.asyncIterator]()
  const [port = '', ...credentials] = ((await lines.next()).value as string).trim().split(' ')
  const call = async (command: string) => {
    child.stdin!.write(`${command}\n`)
    return String((await lines.next()).value)
  }
  const done = async (command: string) => {
    const answer = await call(command)
    if (answer !== 'done') throw new Error(answer)
  }
  const env =
    kind === 's3'
      ? {
          AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`,
          AWS_ACCESS_KEY_ID: credentials[0]!,
          AWS_SECRET_ACCESS_KEY: credentials[1]!,
        }
      : { STORAGE_EMULATOR_HOST: `127.0.0.1:${port}` }
  return {
    ...{ port, env },
    put: (key, file) => done(`put models ${key} ${file}`),
    get: (key, file) => done(`get models ${key} ${file}`),
    list: async () => (await call('list models')).split(' ').filter((key) => key !== ''),
  }
}

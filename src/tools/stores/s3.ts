import { Readable } from 'node:stream'
import type { S3Client, S3ServiceException } from '@aws-sdk/client-s3'
import { type Bucket, type PutCondition, storeError } from './object-store.ts'

/** Limit of the document with which a server explains an error, bytes: the library keeps it in memory. */
const longestExplanation = 64 * 1024

/** Metadata of objects that were put here: the tag of many is no digest, as of those that are encrypted by a key. */
const digestName = 'sha256'

/**
 * A bucket of Amazon S3, or of a server with its protocol (`AWS_ENDPOINT_URL_S3`). Region and credentials come from
 * where Amazon's tools find them: environment, profile, the role of the pod or the machine.
 */
export async function openS3(bucket: string, prefix: string): Promise<Bucket> {
  const { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } = await import(
    '@aws-sdk/client-s3'
  )
  const hasEndpoint = Boolean(process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL)
  const client: S3Client = new S3Client({
    // Other servers than Amazon's seldom have a name for each bucket.
    forcePathStyle: hasEndpoint,
    ...(hasEndpoint && !process.env.AWS_REGION && { region: 'us-east-1' }),
    // It would warn of each upload that it does not repeat.
    logger: { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore },
  })
  boundExplanations(client)
  /** Sends a request about an object. Answers the status of a refusal that is among `expected`. */
  async function about<T>(
    path: string,
    send: (object: { Bucket: string; Key: string }) => Promise<T>,
    expected: readonly number[],
    signal: AbortSignal,
  ): Promise<T | number> {
    const key = prefix === '' ? path : `${prefix}/${path}`
    try {
      return await send({ Bucket: bucket, Key: key })
    } catch (error) {
      const status = (error as S3ServiceException).$metadata?.httpStatusCode
      if (status !== undefined && expected.includes(status)) return status
      signal.throwIfAborted()
      throw refusal(`s3://${bucket}/${key}`, error as S3ServiceException, status)
    }
  }
  return {
    name: `s3://${bucket}${prefix && `/${prefix}`}`,
    async get(path, tag, signal) {
      const found = await about(
        path,
        async (object) => {
          const command = new GetObjectCommand({ ...object, ...(tag && { IfNoneMatch: tag }) })
          const { Body, ETag, $metadata } = await client.send(command, { abortSignal: signal })
          const body = (Body as Readable | undefined) ?? Readable.from([])
          if ($metadata.httpStatusCode === 200) return { body, tag: ETag }
          body.destroy()
          throw new Error(`HTTP ${$metadata.httpStatusCode}`)
        },
        tag === undefined ? [] : [304],
        signal,
      )
      return typeof found === 'number' ? undefined : found
    },
    async head(path, signal) {
      // Those who may only write are answered 403.
      const found = await about(
        path,
        (object) => client.send(new HeadObjectCommand(object), { abortSignal: signal }),
        [403, 404],
        signal,
      )
      if (typeof found === 'number') return undefined
      const { ContentLength = 0, ETag = '', Metadata = {} } = found
      return { bytes: ContentLength, tag: ETag, sha256: Metadata[digestName] }
    },
    async put(path, { bytes, sha256, read }, condition, signal) {
      const put = (object: { Bucket: string; Key: string }) => {
        const command = new PutObjectCommand({
          ...object,
          ...conditionOf(condition),
          Body: read(),
          ContentLength: bytes,
          // The server checks what arrives.
          ChecksumSHA256: Buffer.from(sha256, 'hex').toString('base64'),
          Metadata: { [digestName]: sha256 },
        })
        return client.send(command, { abortSignal: signal })
      }
      const refused = condition === undefined ? [] : 'ifTag' in condition ? [404, 412] : [412]
      return typeof (await about(path, put, refused, signal)) === 'number' ? 'conflict' : 'stored'
    },
    async list(next, signal) {
      const list = ({ Bucket, Key }: { Bucket: string; Key: string }) => {
        // Names may have characters that no XML can have.
        const names = { Prefix: Key, EncodingType: 'url' } as const
        return client.send(new ListObjectsV2Command({ Bucket, ...names, ContinuationToken: next }), {
          abortSignal: signal,
        })
      }
      const found = await about('', list, [], signal)
      if (typeof found === 'number') throw new Error(`s3://${bucket}: HTTP ${found}`)
      const { Contents = [], NextContinuationToken } = found
      const start = prefix === '' ? 0 : prefix.length + 1
      const objects = Contents.map(({ Key = '', Size = 0 }) => ({
        path: decodeURIComponent(Key.replaceAll('+', ' ')).slice(start),
        bytes: Size,
      }))
      return { objects, next: NextContinuationToken }
    },
  }
}

function conditionOf(condition: PutCondition): { IfMatch?: string; IfNoneMatch?: string } {
  if (condition === undefined) return {}
  return 'ifTag' in condition ? { IfMatch: condition.ifTag } : { IfNoneMatch: '*' }
}

function refusal(name: string, error: S3ServiceException, status: number | undefined): Error {
  if (status === undefined) return storeError(name, error)
  const told = [error.name, error.message].filter(isTelling).join(': ')
  return storeError(name, new Error(told === '' ? `HTTP ${status}` : `${told} (HTTP ${status})`), status)
}

/** Whether the library learned it from the server. */
const isTelling = (text: string | undefined) => text && !/^Unknown/.test(text)

const ignore = () => undefined

function boundExplanations(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const answer = result.response as { statusCode?: number; body?: unknown }
      if (answer.statusCode !== 200 && answer.body instanceof Readable) answer.body = beginOf(answer.body)
      return result
    },
    // Before the library reads the answer.
    { step: 'deserialize', priority: 'low', name: 'boundExplanations' },
  )
}

function beginOf(body: Readable): Readable {
  const begin = async function* () {
    let bytes = 0
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > longestExplanation) return
      yield chunk
    }
  }
  return Readable.from(begin(), { objectMode: false })
}

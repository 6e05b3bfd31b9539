import { Readable } from 'node:stream'
import type { S3Client, S3ServiceException } from '@aws-sdk/client-s3'
import { type ObjectStore, storeError } from './object-store.ts'

/** Limit of the document with which a server explains an error, bytes: the library keeps it in memory. */
const longestExplanation = 64 * 1024

/**
 * A bucket of Amazon S3, or of a server with its protocol (`AWS_ENDPOINT_URL_S3`). Region and credentials come from
 * where Amazon's tools find them: environment, profile, the role of the pod or the machine.
 */
export async function openS3(bucket: string, prefix: string): Promise<ObjectStore> {
  const { GetObjectCommand, S3Client } = await import('@aws-sdk/client-s3')
  const hasEndpoint = Boolean(process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL)
  const client: S3Client = new S3Client({
    // Other servers than Amazon's seldom have a name for each bucket.
    forcePathStyle: hasEndpoint,
    ...(hasEndpoint && !process.env.AWS_REGION && { region: 'us-east-1' }),
  })
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
  return {
    name: `s3://${bucket}${prefix && `/${prefix}`}`,
    async get(path, tag, signal) {
      const key = prefix === '' ? path : `${prefix}/${path}`
      const command = new GetObjectCommand({ Bucket: bucket, Key: key, ...(tag && { IfNoneMatch: tag }) })
      const name = `s3://${bucket}/${key}`
      try {
        const { Body, ETag, $metadata } = await client.send(command, { abortSignal: signal })
        const body = (Body as Readable | undefined) ?? Readable.from([])
        if ($metadata.httpStatusCode === 200) return { body, tag: ETag }
        body.destroy()
        throw new Error(`HTTP ${$metadata.httpStatusCode}`)
      } catch (cause) {
        const { name: code, message, $metadata } = cause as S3ServiceException
        const status = $metadata?.httpStatusCode
        if (status === 304 && tag !== undefined) return undefined
        signal.throwIfAborted()
        if (status === undefined) throw storeError(name, cause)
        const told = [code, message].filter(isTelling).join(': ')
        throw storeError(name, new Error(told === '' ? `HTTP ${status}` : `${told} (HTTP ${status})`), status)
      }
    },
  }
}

/** Whether the library learned it from the server. */
const isTelling = (text: string | undefined) => text && !/^Unknown/.test(text)

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

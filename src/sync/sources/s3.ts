import type { Readable } from 'node:stream'
import type { S3Client, S3ServiceException } from '@aws-sdk/client-s3'
import { createIndexedSource, type SyncSource } from '../source.ts'

/**
 * A bucket of Amazon S3, or of a server with its protocol (`AWS_ENDPOINT_URL_S3`). Region and credentials come from where
 * Amazon's tools find them: environment, profile, the role of the pod or the machine.
 */
export async function openS3(bucket: string, prefix: string): Promise<SyncSource> {
  const { GetObjectCommand, S3Client } = await import('@aws-sdk/client-s3')
  const hasEndpoint = Boolean(process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL)
  const client: S3Client = new S3Client({
    // Other servers than Amazon's seldom have a name for each bucket.
    forcePathStyle: hasEndpoint,
    ...(hasEndpoint && !process.env.AWS_REGION && { region: 'us-east-1' }),
  })
  return createIndexedSource(`s3://${bucket}${prefix && `/${prefix}`}`, async (path, tag, signal) => {
    const key = prefix === '' ? path : `${prefix}/${path}`
    const command = new GetObjectCommand({ Bucket: bucket, Key: key, ...(tag && { IfNoneMatch: tag }) })
    try {
      const { Body, ETag } = await client.send(command, { abortSignal: signal })
      return { body: Body as Readable, tag: ETag }
    } catch (cause) {
      const { name, message, $metadata } = cause as S3ServiceException
      if ($metadata?.httpStatusCode === 304) return undefined
      signal.throwIfAborted()
      throw new Error(`s3://${bucket}/${key}: ${[name, message].filter(Boolean).join(': ')}`, { cause })
    }
  })
}

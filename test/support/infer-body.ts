import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'

/** Bytes of a tensor's numbers, little-endian. */
export function bytesOf(values: ArrayBufferView): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength)
}

/** Types that clients name for bodies of `/v1` and `/v2`, where they name one; none is that of JSON in each case. */
export const anyTypes = [
  'application/octet-stream',
  // The default of curl.
  'application/x-www-form-urlencoded',
  'application/json',
  'application/json; charset=utf-16',
  'application/cloudevents+json',
  'multipart/form-data; boundary=x',
  'text/plain',
  'text/xml',
  'no type at all',
]

/** The bytes of a BYTES tensor: each string with its length before it. */
export function stringBytes(strings: string[]): Buffer {
  const parts = strings.map((text) => {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(bytes.length)
    return Buffer.concat([length, bytes])
  })
  return Buffer.concat(parts)
}

export interface InferBody {
  payload: Buffer | string
  headers?: Record<string, string>
}

/** A body of the Open Inference Protocol: the JSON part, then the bytes; and the header that says where they begin. */
export function inferBody(
  json: unknown,
  ...tensors: ArrayBufferView[]
): { payload: Buffer; headers: Record<string, string> } {
  const head = Buffer.from(JSON.stringify(json))
  const payload = Buffer.concat([head, ...tensors.map(bytesOf)])
  return { payload, headers: tensors.length === 0 ? {} : { 'inference-header-content-length': String(head.length) } }
}

// Two rows for a model of the test's features; ids: country 0–3, hour 4–27, campaign 28–77.
export const ids = Int32Array.of(0, 25, 30, 3, 4, 77)
export const numbers = Float32Array.of(0.8, -0.6, 0.1, 2)
export const sparse = { name: 'sparse', shape: [2, 3], datatype: 'INT32' }
export const dense = { name: 'dense', shape: [2, 2], datatype: 'FP32' }
export const asJson = {
  inputs: [
    { ...sparse, data: [...ids] },
    { ...dense, data: [...numbers] },
  ] as const,
}
/** To be followed by the bytes of both. */
export const asBytes = {
  inputs: [
    { ...sparse, parameters: { binary_data_size: 24 } },
    { ...dense, parameters: { binary_data_size: 16 } },
  ],
}

export interface InferReply {
  status: number
  headers: Record<string, unknown>
  bytes: Buffer
  text: string
}

/** Sends a body to a model's `infer`. */
export async function infer(
  fastify: FastifyInstance,
  { payload, headers = {} }: InferBody,
  url = '/v2/models/ads/infer',
): Promise<InferReply> {
  const answer = await fastify.inject({ method: 'POST', url, payload, headers })
  return { status: answer.statusCode, headers: answer.headers, bytes: answer.rawPayload, text: answer.payload }
}

/** The error's text; checks the form that clients rely on. */
export function errorOf(t: Test, answer: InferReply, status: number): string {
  t.equal(answer.status, status, answer.text)
  t.equal(answer.headers['content-type'], 'application/json')
  const body = JSON.parse(answer.text)
  t.same(Object.keys(body), ['error'])
  return body.error
}

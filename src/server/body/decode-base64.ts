import { isUtf8 } from 'node:buffer'
import { isObject } from '../../schemas/json.ts'

/** Whether a JSON value is `{"b64": …}`, as TensorFlow Serving writes strings of any bytes. */
export function isBase64(value: unknown): value is { b64: unknown } {
  if (!isObject(value) || !Object.hasOwn(value, 'b64')) return false
  for (const key in value) if (key !== 'b64') return false
  return true
}

/** The string that is meant, or undefined where it is no base64 (padded or not) of UTF-8 text. */
export function decodeBase64({ b64 }: { b64: unknown }): string | undefined {
  if (typeof b64 !== 'string') return undefined
  const bytes = Buffer.from(b64, 'base64')
  // Node passes over what it doesn't know.
  const whole = bytes.toString('base64')
  if (b64 !== whole && b64 !== whole.replace(/=+$/, '')) return undefined
  return isUtf8(bytes) ? bytes.toString() : undefined
}

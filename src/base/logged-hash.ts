import { createHmac } from 'node:crypto'

/**
 * The hash of a value in a prediction log. The number 7 and the text "7" are one value: fields with ids take either.
 */
export function loggedHash(value: unknown, secret: string): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return createHmac('sha256', secret).update(text).digest('base64url')
}

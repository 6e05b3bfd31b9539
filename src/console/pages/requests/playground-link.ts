import { isObject } from '../../../schemas/json.ts'
import { hrefOf } from '../../base/router.ts'
import { encodeBody } from '../playground/state/state-codec.ts'
import { isPredict } from './body-values.ts'
import type { RequestRecord } from './stages.ts'

/** The link that opens a request in the playground, or why there is none. */
export function playgroundOf(record: RequestRecord, areBodiesKept: boolean): { href: string } | { why: string } {
  const { method, url, model, body } = record
  if (method !== 'POST' || !isPredict(url)) return { why: 'The playground opens requests of POST /predict alone.' }
  const missing = whyMissing(record, areBodiesKept)
  if (missing !== undefined) return { why: missing }
  if (model === undefined) return { why: 'It reached no model.' }
  if (record.body_changed)
    return { why: 'The manifest marks fields of this model: they are missing from the body, or replaced by hashes.' }
  if (!isObject(body)) return { why: 'Its body is not a JSON object.' }
  return { href: hrefOf('playground', [model], { body: encodeBody(body) }) }
}

const reasons: Record<NonNullable<RequestRecord['body_missing']>, string> = {
  empty: 'It had no body, or its body was not complete when it was answered.',
  too_large: 'Its body is above 64 KiB, which is the most that is kept.',
  too_deep: 'Its body is nested too deeply to be kept.',
  not_json: 'Its body is not JSON.',
  no_fields: 'It reached no model with a manifest, so that the server does not know which values it may keep.',
  marked:
    'The manifest marks fields of this model. The request was invalid, so that their values may be anywhere in the body: it was not kept.',
}

/** Why the body of a request is missing; undefined where there is one. */
export function whyMissing({ body, body_missing: reason }: RequestRecord, areBodiesKept: boolean): string | undefined {
  if (body !== undefined) return undefined
  if (reason !== undefined) return reasons[reason]
  return areBodiesKept ? 'Its body was not kept.' : 'Bodies are not kept: MULTIGATE_SLOW_BODIES=true switches it on.'
}

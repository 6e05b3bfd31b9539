import { useMemo } from 'preact/hooks'
import { candidateKey, inColumns, storedOf, withBareKeys, withStored } from './entities.ts'
import { bodyOf, type Form, type Target } from './form.ts'
import type { Field } from './model.ts'
import { ecpm } from './ranking.ts'
import type { Answered } from './use-history.ts'

/**
 * Rows of tables for the keys of a form, the form with these values in place of keys, and the request for the reader's
 * own programs: by keys, and in columns, where all candidates have the same features.
 */
export function useStored(target: Target, form: Form, by: string, fields: readonly Field[], now: Answered | undefined) {
  const stored = useMemo(() => storedOf(now?.answer.features, now?.form.candidates ?? []), [now])
  const whole = useMemo(() => withStored(form, fields, stored), [form, fields, stored])
  const code = useMemo(() => {
    // The server ranks by ecpm alone: other orders are a sort of the answer.
    const bodyFrom = (one: Form) => bodyOf(target, one, by === ecpm ? { rank: { by } } : {})
    const columns = inColumns(form, fields, stored)
    const body = bodyFrom(form)
    return { body: withBareKeys(body, candidateKey(fields)), columns: columns === form ? body : bodyFrom(columns) }
  }, [target, form, by, fields, stored])
  return { stored, whole, code }
}

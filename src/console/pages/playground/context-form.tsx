import { useEffect, useState } from 'preact/hooks'
import { Pager, pageOf } from '../../parts/pager.tsx'
import { contextId, enter } from './describe-field.ts'
import { FieldInput } from './field-input.tsx'
import type { Field, Value, Values } from './model.ts'
import { valueAt } from './model.ts'
import type { Vocabularies } from './vocabularies.ts'

/** Fields on one page: more are found by name. */
const pageSize = 20

interface ContextFormProps {
  fields: readonly Field[]
  /** Of the context. */
  shown: readonly Field[]
  context: Values
  problems: ReadonlyMap<string, string>
  /** Fields whose value the model does not know. */
  unknown: ReadonlySet<string>
  vocabularies: Vocabularies
  /** The field to go to, once for each object. */
  goTo: { field: string } | undefined
  onValue(field: string, value: Value | undefined): void
}

/** The fields that all candidates share. */
export function ContextForm({
  fields,
  shown,
  context,
  problems,
  unknown,
  vocabularies,
  goTo,
  onValue,
}: ContextFormProps) {
  const [wanted, setWanted] = useState('')
  const [page, setPage] = useState(0)
  const found =
    wanted === '' ? shown : shown.filter(({ name }) => name.toLocaleLowerCase().includes(wanted.toLocaleLowerCase()))

  useEffect(() => {
    if (goTo === undefined) return
    const at = shown.findIndex(({ name }) => name === goTo.field)
    if (at < 0) return
    setWanted('')
    setPage(Math.floor(at / pageSize))
    // The page with it is drawn first.
    requestAnimationFrame(() => enter(contextId(fields.findIndex(({ name }) => name === goTo.field))))
  }, [goTo])

  return (
    <section class="card" aria-labelledby="context-title">
      <header>
        <h2 id="context-title">Context</h2>
      </header>
      <p class="small muted">The user and the page: what all candidates of one request share.</p>
      {shown.length > pageSize && (
        <label>
          Find a field
          <input type="search" value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
        </label>
      )}
      <div class="fields">
        {pageOf(found, page, pageSize).map((field) => (
          <FieldInput
            key={field.name}
            field={field}
            index={fields.indexOf(field)}
            value={valueAt(context, field.name)}
            problem={problems.get(field.name)}
            isUnknown={unknown.has(field.name)}
            vocabularies={vocabularies}
            onValue={(value) => onValue(field.name, value)}
          />
        ))}
        {shown.length === 0 && <p class="muted">This model has no context fields.</p>}
        {shown.length > 0 && found.length === 0 && <p class="muted">No field has this in its name.</p>}
      </div>
      <Pager what="fields" page={page} size={pageSize} total={found.length} onPage={setPage} />
    </section>
  )
}

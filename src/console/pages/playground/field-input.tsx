import { useEffect, useState } from 'preact/hooks'
import { Card } from '../../parts/controls.tsx'
import { useSearch } from '../../parts/pager.tsx'
import { attributesOf, Combobox, type ComboboxProps } from './combobox.tsx'
import { contextId, describeField, describeMissing, enter, fieldProblem } from './state/describe-field.ts'
import { drawValue, rangeOf } from './state/draw.ts'
import { type Field, textOfValue, type Value, type Values, valueAt, valueOfText } from './state/model.ts'
import type { Vocabularies } from './state/server.ts'

interface FieldInputProps {
  field: Field
  /** Its place among all fields. */
  index: number
  value: Value | undefined
  problem: string | undefined
  /** The model does not know the value. */
  isUnknown: boolean
  vocabularies: Vocabularies
  onValue(value: Value | undefined): void
}

/** A field of the context with its name, what it takes, and what is wrong with it. */
function FieldInput({ field, index, value, isUnknown, vocabularies, onValue, ...answer }: FieldInputProps) {
  const id = contextId(index)
  const problem = fieldProblem(field, value, answer.problem)
  const isSent = value !== undefined
  const describedBy = `${id}-about${problem === undefined ? '' : ` ${id}-problem`}`
  return (
    <div class="field">
      <div class="field-name">
        <label for={id}>
          <bdi>{field.name}</bdi>
        </label>
        {!field.required && (
          <label class="check small">
            <input
              type="checkbox"
              checked={isSent}
              onChange={(event) => onValue(event.currentTarget.checked ? startingValue(field) : undefined)}
            />
            send<span class="hidden"> {field.name}</span>
          </label>
        )}
      </div>
      <ValueInput
        {...{ id, field, value, onValue, vocabularies, describedBy }}
        type={field.type}
        invalid={problem !== undefined}
        disabled={!isSent && !field.required}
        required={field.required}
      />
      <Slider field={field} value={value} onValue={onValue} />
      <p id={`${id}-about`} class="small muted">
        {describeField(field)}
        {!isSent && !field.required && <span>; {describeMissing(field)}</span>}
        {isUnknown && isSent && problem === undefined && (
          <span>; this one is not known to the model, and counts as any other unknown value</span>
        )}
      </p>
      {problem !== undefined && (
        <p id={`${id}-problem`} class="small problem">
          {problem}
        </p>
      )}
    </div>
  )
}

/** Steps of a slider over the usual values of a number. */
const steps = 100

function Slider({ field, value, onValue }: Pick<FieldInputProps, 'field' | 'value' | 'onValue'>) {
  const range = field.type === 'string' ? undefined : rangeOf(field)
  if (range === undefined || value === undefined) return null
  const [low, high] = range
  return (
    <input
      type="range"
      aria-label={`${field.name}, over its usual range`}
      min={low}
      max={high}
      step={field.type === 'integer' ? 1 : 'any'}
      value={typeof value === 'number' ? value : low}
      onInput={(event) => onValue(onGrid(field, Number(event.currentTarget.value), (high - low) / steps))}
    />
  )
}

function onGrid(field: Field, value: number, step: number): number {
  if (field.type === 'integer') return Math.round(value)
  const digits = Math.max(0, Math.ceil(-Math.log10(step)))
  return Number(value.toFixed(Math.min(digits, 20)))
}

/** The value that a field has when it is sent again. */
function startingValue(field: Field): Value {
  const known = field.default
  if (known !== undefined && known !== '') return known
  return drawValue(field, [], () => 0.5)
}

interface ValueInputProps extends Omit<ComboboxProps, 'field'> {
  /** Undefined for `id` and `bid`. */
  field: Field | undefined
  type: Field['type']
  required?: boolean
}

/** A value to choose or to type. */
export function ValueInput({ field, vocabularies, required, ...input }: ValueInputProps) {
  return field?.values === undefined ? (
    <TextField {...input} required={required} />
  ) : (
    <Combobox {...input} {...{ field, vocabularies }} />
  )
}

/** A text or a number, as typed. A number's text stays unchanged, `1.` and all, while it means the same. */
function TextField({ type, value, onValue, ...input }: Omit<ValueInputProps, 'field' | 'vocabularies'>) {
  const [text, setText] = useState(textOfValue(value))
  const shown = valueOfText(text, type) === value ? text : textOfValue(value)
  return (
    <input
      {...attributesOf(input)}
      class={type === 'string' ? undefined : 'figure'}
      required={input.required}
      type="text"
      inputMode={type === 'string' ? 'text' : type === 'integer' ? 'numeric' : 'decimal'}
      value={shown}
      onInput={(event) => {
        setText(event.currentTarget.value)
        onValue(valueOfText(event.currentTarget.value, type))
      }}
    />
  )
}

/** Fields on one page: more are found by name. */
const pageSize = 20

interface ContextFormProps {
  fields: readonly Field[]
  /** The fields of the context. */
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
  const list = useSearch('fields', shown, pageSize, ({ name }) => name)

  useEffect(() => {
    if (goTo === undefined) return
    const at = shown.findIndex(({ name }) => name === goTo.field)
    if (at < 0) return
    list.search('')
    list.goTo(at)
    // The page with it is drawn first.
    requestAnimationFrame(() => enter(contextId(fields.findIndex(({ name }) => name === goTo.field))))
  }, [goTo])

  return (
    <Card id="context-title" title="Context">
      <p class="small muted">The user and the page: what all candidates of one request share.</p>
      {list.field('Find a field')}
      <div class="stack">
        {list.shown.map((field) => (
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
        {shown.length > 0 && list.shown.length === 0 && <p class="muted">No field has this in its name.</p>}
      </div>
      {list.pager}
    </Card>
  )
}

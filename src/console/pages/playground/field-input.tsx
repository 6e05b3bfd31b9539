import { useEffect, useMemo, useState } from 'preact/hooks'
import { Card } from '../../parts/controls.tsx'
import { number } from '../../parts/format.ts'
import { useSearch } from '../../parts/pager.tsx'
import { attributesOf, Combobox, type InputProps } from './combobox.tsx'
import { enter } from './enter.ts'
import { KeyHelp, ReturnToStored } from './key-help.tsx'
import { ListInput, type ListInputProps } from './list-input.tsx'
import {
  contextId,
  describeField,
  describeKey,
  describeMissing,
  describeStored,
  fieldProblem,
  textOfStored,
} from './state/describe-field.ts'
import { drawValue, rangeOf } from './state/draw.ts'
import { type Notes, noteOf, storedValue } from './state/entities.ts'
import { bySequence, sequenceOf, type Unknown } from './state/lists.ts'
import {
  type Field,
  isItem,
  isSame,
  isSeveral,
  itemsOf,
  textOfValue,
  type Value,
  type Values,
  valueAt,
  valueOfCell,
  withValue,
} from './state/model.ts'
import type { Vocabularies } from './state/server.ts'

interface FieldInputProps {
  field: Field
  /** Its place among all fields. */
  index: number
  /** The fields whose lists stay as long as its own, itself among them. */
  sequence: readonly Field[]
  values: Values
  /** Rows of tables for its keys. */
  notes: Notes
  problem: string | undefined
  /** Values that the model does not know. */
  unknown: Unknown
  vocabularies: Vocabularies
  onValues(values: Values): void
}

/** A field of the context with its name, what it takes, and what is wrong with it. */
function FieldInput({ field, index, sequence, values, notes, unknown, ...props }: FieldInputProps) {
  const { vocabularies, onValues } = props
  const id = contextId(index)
  const value = valueAt(values, field.name)
  const problem = fieldProblem(field, value, props.problem)
  const isSent = value !== undefined
  const isUnknown = !isSeveral(field) && isItem(value) && (unknown.get(field.name)?.has(value) ?? false)
  const describedBy = `${id}-about${problem === undefined ? '' : ` ${id}-problem`}`
  const onValue = (next: Value | undefined) => onValues(withValue(values, field.name, next))
  const isOptional = !field.required && field.entity === undefined && field.keyOf === undefined
  const stored = storedValue(field, values, notes)
  // The lists of a sequence are sent together, or none of them.
  const send = (isOn: boolean) =>
    onValues(
      sequence
        .filter(({ required }) => !required)
        .reduce((all, one) => withValue(all, one.name, isOn ? startingValue(one) : undefined), values),
    )
  return (
    <div class="field">
      <div class="field-name">
        <label for={id}>
          <bdi>{field.name}</bdi>
        </label>
        {isOptional && (
          <label class="check small">
            <input type="checkbox" checked={isSent} onChange={(event) => send(event.currentTarget.checked)} />
            send<span class="hidden"> {field.name}</span>
          </label>
        )}
      </div>
      <ValueInput
        {...{ id, field, sequence, values, onValues, unknown, vocabularies, describedBy }}
        name={field.name}
        type={field.type}
        most={shownInForm}
        invalid={problem !== undefined}
        disabled={!isSent && isOptional}
        placeholder={textOfStored(stored?.value)}
        required={field.required}
      />
      <Slider field={field} value={value ?? stored?.value} onValue={onValue} />
      <p id={`${id}-about`} class="small muted">
        {field.keyOf === undefined ? describeField(field) : describeKey(field, noteOf(field.keyOf, values, notes))}
        {!isSent && isOptional && <span>; {describeMissing(field)}</span>}
        {!isSent && field.entity !== undefined && (
          <span>; {describeStored(field, stored, valueAt(values, field.entity.key) !== undefined)}</span>
        )}
        {isUnknown && problem === undefined && (
          <span>; this one is not known to the model, and counts as any other unknown value</span>
        )}
      </p>
      <ReturnToStored {...{ field, values, onValues }} fields={sequence} label={field.name} />
      {problem !== undefined && (
        <p id={`${id}-problem`} class="small problem">
          {problem}
        </p>
      )}
    </div>
  )
}

/** Values of a long list that a field shows, and a cell of the table of candidates. */
const shownInForm = 30
export const shownInCell = 5

/** Steps of a slider over the usual values of a number. */
const steps = 100

interface SliderProps {
  field: Field
  value: Value | undefined
  onValue(value: Value): void
}

function Slider({ field, value, onValue }: SliderProps) {
  const range = field.type === 'string' || isSeveral(field) ? undefined : rangeOf(field)
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

interface ValueInputProps extends Omit<ListInputProps, 'field'> {
  /** Undefined for `id` and `bid`. */
  field: Field | undefined
  name: string
  type: Field['type']
  required?: boolean
}

/** A value to choose or to type, or several of them. */
export function ValueInput({ field, name, ...props }: ValueInputProps) {
  if (field?.list !== undefined) return <ListInput {...props} field={field} />
  const { sequence: _, unknown: __, most: ___, values, onValues, type, required, vocabularies, ...input } = props
  const value = valueAt(values, name)
  const onValue = (next: Value | undefined) => onValues(withValue(values, name, next))
  if (field?.values !== undefined) return <Combobox {...input} {...{ field, vocabularies, value, onValue }} />
  return <TextField {...input} {...{ value, onValue, required }} field={field ?? { type }} />
}

interface TextFieldProps extends InputProps {
  field: Pick<Field, 'type' | 'length'>
  value: Value | undefined
  required: boolean | undefined
  onValue(value: Value | undefined): void
}

/**
 * A text or a number, as typed, or a vector as JSON. The text stays unchanged, `1.` and all, while it means the same.
 */
function TextField({ field, value, required, onValue, ...input }: TextFieldProps) {
  const { type, length } = field
  const [text, setText] = useState(textOfValue(value))
  const shown = isSame(valueOfCell(text, field), value) ? text : textOfValue(value)
  const countId = `${input.id}-count`
  const describedBy = length === undefined ? input.describedBy : [input.describedBy, countId].filter(Boolean).join(' ')
  return (
    <>
      <input
        {...attributesOf({ ...input, describedBy })}
        class={type === 'string' ? undefined : 'figure'}
        required={required}
        type="text"
        inputMode={type === 'string' || length !== undefined ? 'text' : type === 'integer' ? 'numeric' : 'decimal'}
        value={shown}
        onInput={(event) => {
          setText(event.currentTarget.value)
          onValue(valueOfCell(event.currentTarget.value, field))
        }}
      />
      {length !== undefined && value !== undefined && (
        <span id={countId} class="small muted">
          {number(itemsOf(value).length, 9)} of {number(length, 9)} numbers
        </span>
      )}
    </>
  )
}

/** Fields on one page: more are found by name. */
const pageSize = 20

interface ContextFormProps {
  fields: readonly Field[]
  /** The fields of the context. */
  shown: readonly Field[]
  context: Values
  /** Rows of tables for its keys. */
  notes: Notes
  problems: ReadonlyMap<string, string>
  /** Values that the model does not know. */
  unknown: Unknown
  vocabularies: Vocabularies
  /** The field to go to, once for each object. */
  goTo: { field: string } | undefined
  onValues(values: Values): void
}

/** The fields that all candidates share. */
export function ContextForm({
  fields,
  shown,
  context,
  notes,
  problems,
  unknown,
  vocabularies,
  goTo,
  onValues,
}: ContextFormProps) {
  const inOrder = useMemo(() => bySequence(shown).flat(), [fields, shown])
  const list = useSearch('fields', inOrder, pageSize, ({ name }) => name)

  useEffect(() => {
    if (goTo === undefined) return
    const at = inOrder.findIndex(({ name }) => name === goTo.field)
    if (at < 0) return
    list.search('')
    list.goTo(at)
    // The page with it is drawn first.
    requestAnimationFrame(() => enter(contextId(fields.findIndex(({ name }) => name === goTo.field))))
  }, [goTo])

  return (
    <Card id="context-title" title="Context">
      <p class="small muted">The user and the page: what all candidates of one request share.</p>
      <KeyHelp fields={shown} side="context" />
      {list.field('Find a field')}
      <div class="stack">
        {bySequence(list.shown).map((group) => {
          const { name, sequence } = group[0]!
          const members = sequenceOf(group[0]!, shown)
          const inputs = group.map((field) => (
            <FieldInput
              key={field.name}
              field={field}
              index={fields.indexOf(field)}
              sequence={members}
              values={context}
              problem={problems.get(field.name)}
              {...{ notes, unknown, vocabularies, onValues }}
            />
          ))
          if (members.length === 1) return inputs
          return (
            <fieldset key={name} class="sequence stack">
              <legend class="small muted">
                Sequence <bdi>{sequence}</bdi>: each list gains and loses values together with the others
              </legend>
              {inputs}
            </fieldset>
          )
        })}
        {shown.length === 0 && <p class="muted">This model has no context fields.</p>}
        {shown.length > 0 && list.shown.length === 0 && <p class="muted">No field has this in its name.</p>}
      </div>
      {list.pager}
    </Card>
  )
}

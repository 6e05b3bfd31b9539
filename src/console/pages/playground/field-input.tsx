import { Combobox } from './combobox.tsx'
import { contextId, describeField, describeMissing, problemOf } from './describe-field.ts'
import { drawValue, rangeOf } from './draw.ts'
import type { Field, Value } from './model.ts'
import { TextField } from './text-field.tsx'
import type { Vocabularies } from './vocabularies.ts'

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
export function FieldInput({ field, index, value, isUnknown, vocabularies, onValue, ...answer }: FieldInputProps) {
  const id = contextId(index)
  const problem = problemOf(field, value, answer.problem)
  const isSent = value !== undefined
  const describedBy = `${id}-about${problem === undefined ? '' : ` ${id}-problem`}`
  const common = { id, value, onValue, disabled: !isSent && !field.required }
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
      {field.values !== undefined ? (
        <Combobox
          {...common}
          field={field}
          vocabularies={vocabularies}
          describedBy={describedBy}
          invalid={problem !== undefined}
        />
      ) : (
        <TextField
          {...common}
          type={field.type}
          required={field.required}
          aria-describedby={describedBy}
          aria-invalid={problem !== undefined}
        />
      )}
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

/** What a field has when it is sent again. */
function startingValue(field: Field): Value {
  const known = field.default
  if (known !== undefined && known !== '') return known
  return drawValue(field, [], () => 0.5)
}

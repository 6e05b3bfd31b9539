import { useRef, useState } from 'preact/hooks'
import { Chips, type EditedChip } from '../../parts/chips.tsx'
import { attributesOf, Combobox, type InputProps } from './combobox.tsx'
import { Count, chipOf } from './list-fates.tsx'
import { fatesOf, type Unknown, weightsOf, withSplice, withWeight } from './state/lists.ts'
import {
  type Field,
  type Item,
  itemsOf,
  readItems,
  textOfValue,
  type Values,
  valueAt,
  valueOfText,
  withValue,
} from './state/model.ts'
import type { Vocabularies } from './state/server.ts'

export interface ListInputProps extends InputProps {
  field: Field
  /** The fields whose lists stay as long as this one, itself among them. */
  sequence: readonly Field[]
  /** Those of the context, or of the candidate. */
  values: Values
  /** Values that the model doesn't know. */
  unknown: Unknown
  vocabularies: Vocabularies
  /** Values that are shown of a long list. */
  most: number
  onValues(values: Values): void
}

/** The values of a list, as chips. */
export function ListInput({
  field,
  sequence,
  values,
  unknown,
  vocabularies,
  most,
  onValues,
  ...input
}: ListInputProps) {
  const [editing, setEditing] = useState<number>()
  const value = valueAt(values, field.name)
  const items = itemsOf(value)
  const weights = weightsOf(value)
  const fates = fatesOf(field, values, sequence, unknown)
  const name = input.label ?? field.name
  const countId = `${input.id}-count`

  const replace = (at: number, count: number, text: string | readonly Item[]) => {
    const read = typeof text === 'string' ? readItems(text, field.type) : text
    const given = 'weights' in read ? read : { values: read }
    onValues(withSplice(values, field, { at, count, ...given }, sequence))
  }
  const chips = items.map((item, at): EditedChip => {
    return {
      ...chipOf(item, fates.of[at]),
      ...(field.list?.weighted && {
        beside: ({ label, tabIndex }) => (
          <input
            class="weight"
            type="text"
            inputMode="decimal"
            aria-label={`Weight of ${label}`}
            tabIndex={tabIndex}
            value={textOfValue(weights[at])}
            onChange={({ currentTarget }) =>
              onValues(withWeight(values, field, at, valueOfText(currentTarget.value, 'number') ?? 1))
            }
          />
        ),
      }),
    }
  })
  if (input.disabled) return <input {...attributesOf(input)} type="text" value="" />
  return (
    <div class="list-input">
      <Chips
        name={name}
        chips={chips}
        {...{ most, editing }}
        onEdit={setEditing}
        onRemove={(at) => replace(at, 1, [])}
        box={
          <Entry
            key={editing ?? 'end'}
            {...{ ...input, field, vocabularies }}
            label={editing === undefined ? input.label : `Value ${editing + 1} of ${name}`}
            describedBy={[input.describedBy, countId].filter(Boolean).join(' ')}
            placeholder={value === undefined ? input.placeholder : undefined}
            edited={editing === undefined ? undefined : textOfValue(items[editing])}
            onCommit={(text) => {
              if (editing === undefined) replace(items.length, 0, text)
              else replace(editing, 1, text)
              setEditing(undefined)
            }}
            onCancel={() => setEditing(undefined)}
          />
        }
      />
      <p id={countId} class="small muted">
        {value !== undefined && <Count field={field} fates={fates} />}
        {value === undefined && field.required && (
          <button type="button" class="link" onClick={() => onValues(withEmpty(values, sequence))}>
            Send an empty list<span class="hidden"> as {name}</span>
          </button>
        )}
      </p>
    </div>
  )
}

const withEmpty = (values: Values, sequence: readonly Field[]): Values =>
  sequence.reduce((all, { name }) => (valueAt(all, name) === undefined ? withValue(all, name, []) : all), values)

interface EntryProps extends InputProps {
  field: Field
  vocabularies: Vocabularies
  /** The value that is edited; undefined: values are added. */
  edited: string | undefined
  onCommit(text: string | readonly Item[]): void
  onCancel(): void
}

/** The text box of a list: Enter, a comma and leaving it make values of its text, as pasting several does. */
function Entry({ field, vocabularies, edited, onCommit, onCancel, ...input }: EntryProps) {
  const [text, setText] = useState(edited ?? '')
  /** Where a value was edited, the box goes away, and is left once more. */
  const isDone = useRef(false)
  const known = field.values === undefined ? [] : vocabularies.of(field).value.values

  const end = () => {
    isDone.current = edited !== undefined
    setText('')
  }
  const commit = (text: string | readonly Item[]) => {
    if (text === '' && edited === undefined) return
    end()
    onCommit(typeof text === 'string' && known.includes(text) ? [text] : text)
  }
  const cancel = () => {
    end()
    onCancel()
  }
  const onText = (next: string) => {
    const begun = next.replace(/,$/, '')
    const isWhole = !/^\s*[[{]/.test(next) && next.includes(',') && !known.some((value) => value.startsWith(next))
    if (isWhole) commit(known.includes(begun) ? [begun] : next)
    else setText(next)
  }
  const events = {
    onKeyDown: (event: KeyboardEvent) => {
      if (event.key === 'Escape' && (text !== '' || edited !== undefined)) cancel()
      else if (event.key === 'Enter') commit(text)
      else return
      event.preventDefault()
    },
    onPaste: (event: ClipboardEvent) => {
      const pasted = event.clipboardData?.getData('text/plain') ?? ''
      if (!/[,;\n\t[{]/.test(pasted) || known.includes(pasted)) return
      event.preventDefault()
      commit(pasted)
    },
    onBlur: () => {
      if (isDone.current) return
      if (text === edited) cancel()
      else commit(text)
    },
  }
  if (field.values !== undefined)
    return (
      <Combobox
        {...input}
        {...{ field, vocabularies, events }}
        value={text}
        onValue={(next) => onText(textOfValue(next))}
        onChoose={(chosen) => commit([chosen])}
      />
    )
  return (
    <input
      {...attributesOf(input)}
      {...events}
      type="text"
      inputMode={field.type === 'string' ? 'text' : field.type === 'integer' ? 'numeric' : 'decimal'}
      value={text}
      onInput={(event) => onText(event.currentTarget.value)}
    />
  )
}

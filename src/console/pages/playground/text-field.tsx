import { useState } from 'preact/hooks'
import { type Field, textOfValue, type Value, valueOfText } from './model.ts'

interface TextFieldProps {
  id: string
  type: Field['type']
  value: Value | undefined
  onValue(value: Value | undefined): void
  disabled?: boolean
  required?: boolean
  placeholder?: string | undefined
  class?: string | undefined
  'aria-label'?: string
  'aria-describedby'?: string | undefined
  'aria-invalid': boolean
}

/** A text or a number as it is typed. A number's text stays as it is, `1.` and all, while it means the same. */
export function TextField({ type, value, onValue, ...rest }: TextFieldProps) {
  const [text, setText] = useState(textOfValue(value))
  const shown = valueOfText(text, type) === value ? text : textOfValue(value)
  return (
    <input
      {...rest}
      type="text"
      inputMode={type === 'string' ? 'text' : type === 'integer' ? 'numeric' : 'decimal'}
      autocomplete="off"
      spellcheck={false}
      dir="auto"
      value={shown}
      onInput={(event) => {
        setText(event.currentTarget.value)
        onValue(valueOfText(event.currentTarget.value, type))
      }}
    />
  )
}

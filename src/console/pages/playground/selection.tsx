interface SelectionProps {
  label: string
  value: string
  options: readonly (readonly [value: string, text: string])[]
  onValue(value: string): void
}

/** A select with its label before it. */
export function Selection({ label, value, options, onValue }: SelectionProps) {
  return (
    <label class="row">
      {label}
      <select value={value} onChange={(event) => onValue(event.currentTarget.value)}>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  )
}

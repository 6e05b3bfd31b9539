import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'

/** A share from 0 to 1 as a bar; its number stands beside it, so that it says nothing to readers of a screen. */
export function Bar({ share, colour = 'var(--series-1)' }: { share: number; colour?: string }) {
  const shown = Math.min(1, Math.max(0, share))
  return (
    <span class="bar" aria-hidden="true">
      <span style={{ transform: `scaleX(${shown})`, background: colour }} />
    </span>
  )
}

/** One of few, as buttons side by side. */
export function Choice<T extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string
  value: T
  options: readonly (readonly [value: T, title: string])[]
  onChange(value: T): void
}) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset would draw its own border and legend
    <div class="choice" role="group" aria-label={label}>
      {options.map(([option, title]) => (
        <button key={option} type="button" aria-pressed={option === value} onClick={() => onChange(option)}>
          {title}
        </button>
      ))}
    </div>
  )
}

/** A wide table that scrolls by itself, with a pointer and by keys, and not the page. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys
    <section class="scroll" tabIndex={0} aria-label={`${label}, table`}>
      {children}
    </section>
  )
}

/**
 * The text that is searched for in a list with pages: another text begins with its first page. `wanted`: in lower case.
 */
export function useSearch() {
  const [value, setValue] = useState('')
  const [page, setPage] = useState(0)
  const onSearch = (text: string) => {
    setValue(text)
    setPage(0)
  }
  return { wanted: value.trim().toLowerCase(), page, setPage, field: { value, onSearch } }
}

/** Narrows a list that is too long to look through. */
export function SearchField({
  label,
  value,
  onSearch,
}: {
  label: string
  value: string
  onSearch(value: string): void
}) {
  return (
    <label class="row small">
      {label}
      <input type="search" value={value} onInput={(event) => onSearch(event.currentTarget.value)} />
    </label>
  )
}

/** Figures side by side, each a `Stat`. */
export function Stats({ children }: { children: ComponentChildren }) {
  return <dl class="stats">{children}</dl>
}

export function Stat({ name, value, note }: { name: string; value: string; note?: string | undefined }) {
  return (
    <div class="stat">
      <dt>{name}</dt>
      <dd>
        {value} {note && <small>{note}</small>}
      </dd>
    </div>
  )
}

import type { ComponentChildren } from 'preact'

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

/**
 * One of many, in a list that opens. `class`: of the label around it. `options`: values, with texts of their own or
 * without.
 */
export function Select({
  label,
  value,
  options,
  onChange,
  class: name,
}: {
  label: string
  value: string
  options: readonly (string | readonly [value: string, text: string])[]
  onChange(value: string): void
  class?: string
}) {
  return (
    <label class={name}>
      {label}
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options
          .map((option) => (typeof option === 'string' ? ([option, option] as const) : option))
          .map(([option, text]) => (
            <option key={option} value={option} dir="auto">
              {text}
            </option>
          ))}
      </select>
    </label>
  )
}

/** A part of a page under a heading of its own. */
export function Card({
  id,
  title,
  note,
  status,
  beside,
  class: name,
  focusable = false,
  children,
}: {
  id: string
  title: ComponentChildren
  /** Stands across from the heading, in small letters. */
  note?: ComponentChildren
  /** The same, announced whenever it is another one. */
  status?: string
  /** Other parts that stand there. */
  beside?: ComponentChildren
  class?: string
  /** Whether its heading can be gone to. */
  focusable?: boolean
  children?: ComponentChildren
}) {
  return (
    <section class={name === undefined ? 'card' : `card ${name}`} aria-labelledby={id}>
      <header>
        <h2 id={id} tabIndex={focusable ? -1 : undefined}>
          {title}
        </h2>
        {note && <span class="small muted">{note}</span>}
        {status !== undefined && (
          <span class="small muted" role="status">
            {status}
          </span>
        )}
        {beside}
      </header>
      {children}
    </section>
  )
}

/** Texts that somebody else wrote, below each other. */
export function Lines({ texts, class: name }: { texts: readonly string[]; class?: string }) {
  if (texts.length === 0) return null
  return (
    <ul class={name}>
      {texts.map((text) => (
        <li key={text}>
          <bdi>{text}</bdi>
        </li>
      ))}
    </ul>
  )
}

/** Names with their values; a name without one is left out. */
export function Pairs({ rows }: { rows: readonly (readonly [name: string, value: ComponentChildren])[] }) {
  return (
    <dl class="pairs">
      {rows.map(
        ([name, value]) =>
          value !== undefined && (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{typeof value === 'string' ? <bdi>{value}</bdi> : value}</dd>
            </div>
          ),
      )}
    </dl>
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

/** Figures side by side, each with its name, and perhaps a note such as a unit. */
export function Stats({ figures }: { figures: readonly (readonly [name: string, value: string, note?: string])[] }) {
  return (
    <dl class="stats">
      {figures.map(([name, value, note]) => (
        <div key={name} class="stat">
          <dt>{name}</dt>
          <dd>
            {value} {note && <small>{note}</small>}
          </dd>
        </div>
      ))}
    </dl>
  )
}

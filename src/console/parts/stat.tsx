import type { ComponentChildren } from 'preact'

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

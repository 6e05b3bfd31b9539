import type { ComponentChildren } from 'preact'

/** A wide table that scrolls by itself, with a pointer and by keys, and not the page. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keys
    <section class="scroll" tabIndex={0} aria-label={`${label}, table`}>
      {children}
    </section>
  )
}

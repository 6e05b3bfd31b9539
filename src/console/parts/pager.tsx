import { number } from './format.ts'

/** Steps through a long list. Nothing where one page holds it all. A page beyond the end stands for the last one. */
export function Pager({
  what,
  page: chosen,
  size,
  total,
  onPage,
}: {
  /** The name of what is listed, in the plural: `candidates`. */
  what: string
  page: number
  size: number
  total: number
  onPage(page: number): void
}) {
  const pages = Math.ceil(total / size)
  if (pages <= 1) return null
  const page = pageWithin(chosen, size, total)
  const first = page * size + 1
  const last = Math.min(total, first + size - 1)
  return (
    <nav class="pager" aria-label={`Pages of ${what}`}>
      <button type="button" disabled={page === 0} onClick={() => onPage(0)} aria-label={`First ${what}`}>
        «
      </button>
      <button type="button" disabled={page === 0} onClick={() => onPage(page - 1)} aria-label={`Previous ${what}`}>
        ‹
      </button>
      <span class="small" aria-live="polite">
        {what} {number(first, 9)}–{number(last, 9)} of {number(total, 9)}
      </span>
      <button type="button" disabled={page >= pages - 1} onClick={() => onPage(page + 1)} aria-label={`Next ${what}`}>
        ›
      </button>
      <button type="button" disabled={page >= pages - 1} onClick={() => onPage(pages - 1)} aria-label={`Last ${what}`}>
        »
      </button>
    </nav>
  )
}

/** Says that a list is cut. Nothing where it is whole. `what`: in the plural. */
export function FirstOf({ most, total, what }: { most: number; total: number; what: string }) {
  if (total <= most) return null
  return <p class="muted">{`The first ${most} of ${total} ${what} are shown.`}</p>
}

/** A page that exists. */
export function pageWithin(page: number, size: number, total: number): number {
  return Math.max(0, Math.min(page, Math.ceil(total / size) - 1))
}

/** The items of a page; beyond the end, of the last one. */
export function pageOf<T>(items: readonly T[], page: number, size: number): T[] {
  const first = pageWithin(page, size, items.length) * size
  return items.slice(first, first + size)
}

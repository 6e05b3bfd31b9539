/** One page of a list; beyond the end, the last one. */
export function pageOf<T>(items: readonly T[], page: number, perPage: number): T[] {
  const last = Math.max(0, Math.ceil(items.length / perPage) - 1)
  const at = Math.min(page, last) * perPage
  return items.slice(at, at + perPage)
}

/** Buttons to turn pages; nothing where there is one. */
export function Pages({
  label,
  total,
  page,
  perPage,
  onPage,
}: {
  label: string
  total: number
  page: number
  perPage: number
  onPage(page: number): void
}) {
  const last = Math.max(0, Math.ceil(total / perPage) - 1)
  const shown = Math.min(page, last)
  if (last === 0) return null
  return (
    <nav class="row" aria-label={`Pages: ${label}`}>
      <button type="button" disabled={shown === 0} onClick={() => onPage(shown - 1)}>
        Previous
      </button>
      <span class="small" role="status">
        {shown * perPage + 1} to {Math.min(total, (shown + 1) * perPage)} of {total}
      </span>
      <button type="button" disabled={shown === last} onClick={() => onPage(shown + 1)}>
        Next
      </button>
    </nav>
  )
}

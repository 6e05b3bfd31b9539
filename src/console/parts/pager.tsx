import { useState } from 'preact/hooks'
import { number } from './format.ts'

/** A long list page by page. `what`: the name of what is listed, in the plural: `candidates`. */
export function usePages<T>(what: string, items: readonly T[], size: number) {
  const [page, setPage] = useState(0)
  // A page beyond the end stands for the last one.
  const last = Math.max(0, Math.ceil(items.length / size) - 1)
  const first = size * Math.min(page, last)
  return {
    /** The items of the page, and the place of the first of them. */
    shown: items.slice(first, first + size),
    first,
    /** Shows the page with this place. */
    goTo: (place: number) => setPage(Math.floor(place / size)),
    /** Steps through it; nothing where one page holds it all. */
    pager: last > 0 && <Pager {...{ what, size, last }} page={first / size} total={items.length} onPage={setPage} />,
  }
}

/** A long list page by page, and by a text that is searched for: another text begins with its first page. */
export function useSearch<T>(what: string, items: readonly T[], size: number, textOf: (item: T) => string) {
  const [text, setText] = useState('')
  const wanted = text.trim().toLowerCase()
  const pages = usePages(
    what,
    items.filter((item) => textOf(item).toLowerCase().includes(wanted)),
    size,
  )
  const search = (next: string) => {
    setText(next)
    pages.goTo(0)
  }
  return {
    ...pages,
    search,
    /** Narrows a list that is too long to look through; nothing where it is not. `class`: of its label. */
    field: (label: string, name?: string) =>
      items.length > size && (
        <label class={name}>
          {label}
          <input type="search" value={text} onInput={(event) => search(event.currentTarget.value)} />
        </label>
      ),
  }
}

function Pager({
  what,
  page,
  last,
  size,
  total,
  onPage,
}: {
  what: string
  page: number
  /** The last page. */
  last: number
  size: number
  total: number
  onPage(page: number): void
}) {
  const first = page * size + 1
  const step = (name: string, to: number, isEnd: boolean, sign: string) => (
    <button type="button" disabled={isEnd} onClick={() => onPage(to)} aria-label={`${name} ${what}`}>
      {sign}
    </button>
  )
  return (
    <nav class="pager" aria-label={`Pages of ${what}`}>
      {step('First', 0, page === 0, '«')}
      {step('Previous', page - 1, page === 0, '‹')}
      <span class="small" aria-live="polite">
        {what} {number(first, 9)}–{number(Math.min(total, first + size - 1), 9)} of {number(total, 9)}
      </span>
      {step('Next', page + 1, page === last, '›')}
      {step('Last', last, page === last, '»')}
    </nav>
  )
}

/** Says that a list is cut. Nothing where it is whole. `what`: in the plural. */
export function FirstOf({ most, total, what }: { most: number; total: number; what: string }) {
  if (total <= most) return null
  return <p class="muted">{`The first ${most} of ${total} ${what} are shown.`}</p>
}

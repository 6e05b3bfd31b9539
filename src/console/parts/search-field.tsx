import { useState } from 'preact/hooks'

/** What is searched in a list with pages: another text begins with its first page. `wanted`: in lower case. */
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

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

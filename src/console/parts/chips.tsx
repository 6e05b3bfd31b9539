import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'

/** A value of a list, for readers. */
export interface Chip {
  text: string
  /** Says more of it, and how it looks. */
  note?: string | undefined
  tone?: string | undefined
}

/** The same, to edit. */
export interface EditedChip extends Chip {
  /** Stands between the text and the button that removes it: its weight. */
  beside?(attributes: { label: string; tabIndex: number }): ComponentChildren
}

/** The same, to read alone. */
export interface ReadChip extends Chip {
  weight?: string | undefined
}

interface ChipsProps {
  /** The name of the list. */
  name: string
  chips: readonly EditedChip[]
  /** Chips of a long list that are shown, the last ones, beside the text box; a button adds more. */
  most: number
  /** The place of the chip that is edited; undefined: the text box adds values at the end. */
  editing: number | undefined
  /** The text box. */
  box: ComponentChildren
  onEdit(place: number): void
  onRemove(place: number): void
}

/** Where the focus goes after a change: a chip by its place, or the text box. */
type Focus = number | 'box'

/**
 * A list of values that are edited in place, removed one by one, and added in a text box. One chip is in the order of
 * tabs; arrow keys go to others.
 */
export function Chips({ name, chips, most, editing, box, onEdit, onRemove }: ChipsProps) {
  const [shown, setShown] = useState(most)
  const [current, setCurrent] = useState(0)
  const list = useRef<HTMLUListElement>(null)
  const wanted = useRef<Focus | undefined>(undefined)
  const hidden = Math.max(0, chips.length - shown)
  const focused = Math.min(Math.max(current, hidden), chips.length - 1)

  const go = (place: Focus) => {
    const name = place === 'box' ? '.entry input' : `[data-place="${place}"]`
    list.current?.querySelector<HTMLElement>(name)?.focus()
  }
  useLayoutEffect(() => {
    if (wanted.current !== undefined) go(wanted.current)
    wanted.current = undefined
  })
  // The box moves to the chip that is edited, and the focus with it; it goes back to the chip.
  const before = useRef(editing)
  useLayoutEffect(() => {
    if (editing !== undefined) go('box')
    else if (before.current !== undefined && document.activeElement === document.body)
      go(before.current < chips.length ? before.current : 'box')
    before.current = editing
  }, [editing])

  const remove = (place: number) => {
    wanted.current = chips.length === 1 ? 'box' : Math.min(place, chips.length - 2)
    onRemove(place)
  }
  const onKeyDown = (event: KeyboardEvent, place: number) => {
    const next = { ArrowLeft: place - 1, ArrowRight: place + 1, Home: hidden, End: chips.length - 1 }[event.key]
    if (next !== undefined) go(next >= chips.length ? 'box' : Math.max(hidden, next))
    else if (event.key === 'Delete' || event.key === 'Backspace') remove(place)
    else return
    event.preventDefault()
  }
  const entry = (
    <li key="entry" class="entry">
      {box}
    </li>
  )
  return (
    <ul
      class="chips"
      ref={list}
      aria-label={`Values of ${name}`}
      onKeyDown={({ key, target }) => {
        const isEmpty = target instanceof HTMLInputElement && target.closest('.entry') && target.value === ''
        if (!isEmpty || editing !== undefined || chips.length === 0) return
        if (key === 'Backspace') onRemove(chips.length - 1)
        if (key === 'ArrowLeft') go(chips.length - 1)
      }}
    >
      {hidden > 0 && (
        <li>
          <button
            type="button"
            class="more"
            aria-label={`Show ${Math.min(hidden, step)} more values of ${name}`}
            onClick={() => setShown(shown + step)}
          >
            + {hidden}
          </button>
        </li>
      )}
      {chips.slice(hidden).map((chip, i) => {
        const place = hidden + i
        if (place === editing) return entry
        const label = `${chip.text}, ${place + 1} of ${name}`
        const tabIndex = place === focused ? 0 : -1
        return (
          <li key={place} class={`chip ${chip.tone ?? ''}`} title={chip.note}>
            <button
              type="button"
              class="edit"
              data-place={place}
              tabIndex={tabIndex}
              onFocus={() => setCurrent(place)}
              onClick={() => onEdit(place)}
              onKeyDown={(event) => onKeyDown(event, place)}
            >
              <ChipText {...chip} />
            </button>
            {chip.beside?.({ label, tabIndex })}
            <button
              type="button"
              class="remove"
              tabIndex={-1}
              aria-label={`Remove ${label}`}
              onClick={() => remove(place)}
            >
              ×
            </button>
          </li>
        )
      })}
      {editing === undefined && entry}
    </ul>
  )
}

/** A list of values to read: both ends of a long one, until a button shows the others. `ends`: chips at each end. */
export function ReadChips({ name, chips, ends }: { name: string; chips: readonly ReadChip[]; ends: number }) {
  const [head, setHead] = useState(ends)
  // A gap for one value would be no shorter.
  const hidden = chips.length - head - ends > 1 ? chips.length - head - ends : 0
  const isLong = chips.length - 2 * ends > 1
  const more = hidden > 0 ? `Show ${Math.min(hidden, step)} more values of ${name}` : `Show fewer values of ${name}`
  const chipAt = ({ weight, ...chip }: ReadChip, place: number) => (
    <li key={place} class={`chip read ${chip.tone ?? ''}`} title={chip.note}>
      <span>
        <ChipText {...chip} />
      </span>
      {weight !== undefined && (
        <span class="small muted">
          <span class="hidden">, weight </span>
          <span aria-hidden="true">× </span>
          {weight}
        </span>
      )}
    </li>
  )
  return (
    <ul class="chips" aria-label={`Values of ${name}`}>
      {chips.slice(0, hidden > 0 ? head : chips.length).map(chipAt)}
      {hidden > 0 && (
        <li key="gap" class="muted" aria-hidden="true">
          …
        </li>
      )}
      {hidden > 0 && chips.slice(-ends).map((chip, i) => chipAt(chip, chips.length - ends + i))}
      {isLong && (
        <li key="more">
          <button type="button" class="more" aria-label={more} onClick={() => setHead(hidden > 0 ? head + step : ends)}>
            {hidden > 0 ? `+ ${hidden}` : 'fewer'}
          </button>
        </li>
      )}
    </ul>
  )
}

function ChipText({ text, note }: Chip) {
  return (
    <>
      <bdi>{text === '' ? '(empty)' : text}</bdi>
      {note && <span class="hidden">, {note}</span>}
    </>
  )
}

/** Chips that a press adds. */
const step = 100

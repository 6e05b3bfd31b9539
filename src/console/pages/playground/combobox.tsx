import type { JSX, TargetedKeyboardEvent } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { number } from '../../parts/format.ts'
import { textOfValue, type Value, valueOfText } from './state/model.ts'
import { search, type Vocabularies, type VocabularyField } from './state/server.ts'

/** Values that the list shows: typing narrows it. */
const mostShown = 100

/** Height that the list takes where there is room, px; as in the style sheet. */
const listHeight = 280

/** The attributes that an input has for its label and its problem. */
export interface InputProps {
  id: string
  label?: string | undefined
  describedBy?: string | undefined
  invalid: boolean
  disabled?: boolean
  placeholder?: string | undefined
}

/** The attributes that say it; a text may be in any language, and no browser knows better. */
export const attributesOf = ({ id, label, describedBy, invalid, disabled, placeholder }: InputProps) =>
  ({
    id,
    'aria-label': label,
    'aria-describedby': describedBy,
    'aria-invalid': invalid,
    disabled,
    placeholder,
    autocomplete: 'off',
    spellcheck: false,
    dir: 'auto',
  }) as const

export interface ComboboxProps extends InputProps {
  field: VocabularyField
  vocabularies: Vocabularies
  value: Value | undefined
  onValue(value: Value | undefined): void
  /** Takes a value of the list; default: as one that is typed. */
  onChoose?(value: string): void
  /** Further handlers of the input; they don't get the keys that the list takes. */
  events?: Pick<JSX.IntrinsicElements['input'], 'onKeyDown' | 'onPaste' | 'onBlur'>
}

/**
 * A value of a vocabulary, chosen from a list or typed: the combobox of the ARIA practices, whose list helps and does
 * not bind.
 */
export function Combobox(props: ComboboxProps) {
  const { id, field, vocabularies, value, onValue, onChoose = onValue, events = {} } = props
  const [isOpen, setOpen] = useState(false)
  /** Until somebody types, nothing is searched for, so that the list of a chosen value has all others, too. */
  const [isTyped, setTyped] = useState(false)
  const [active, setActive] = useState(-1)
  const input = useRef<HTMLInputElement>(null)
  const vocabulary = vocabularies.of(field).value
  const { found, count } = isOpen
    ? search(vocabulary.values, isTyped ? textOfValue(value) : '', mostShown)
    : { found: [], count: 0 }

  const open = () => {
    if (isOpen || props.disabled) return
    vocabularies.read(field)
    setTyped(false)
    setActive(-1)
    setOpen(true)
  }
  const close = () => setOpen(false)
  const choose = (chosen: string) => {
    onChoose(chosen)
    close()
  }
  const onKeyDown = (event: TargetedKeyboardEvent<HTMLInputElement>) => {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key]
    if (step !== undefined) {
      event.preventDefault()
      if (!isOpen) open()
      else if (found.length > 0) setActive(moved(active, step, found.length))
    } else if (event.key === 'Enter' && isOpen) {
      const chosen = found[active]
      if (chosen === undefined) close()
      else choose(chosen)
      if (chosen !== undefined || onChoose === onValue) event.preventDefault()
    } else if (event.key === 'Escape' && isOpen) {
      event.preventDefault()
      close()
    }
    if (!event.defaultPrevented) events.onKeyDown?.(event)
  }

  return (
    <span class="combobox">
      <input
        {...attributesOf(props)}
        ref={input}
        type="text"
        role="combobox"
        aria-expanded={isOpen && found.length > 0}
        aria-controls={isOpen && found.length > 0 ? `${id}-list` : undefined}
        aria-autocomplete="list"
        aria-activedescendant={isOpen && active >= 0 ? `${id}-${active}` : undefined}
        value={textOfValue(value)}
        onClick={open}
        onKeyDown={onKeyDown}
        onPaste={events.onPaste}
        onBlur={(event) => {
          close()
          events.onBlur?.(event)
        }}
        onInput={(event) => {
          open()
          setTyped(true)
          setActive(-1)
          onValue(valueOfText(event.currentTarget.value, 'string'))
        }}
      />
      {isOpen && (
        <Options
          id={id}
          name={field.name}
          anchor={input.current!}
          options={found}
          active={active}
          chosen={value}
          note={noteOf(count, vocabulary.total, vocabulary.values.length, vocabulary.state)}
          choose={choose}
          close={close}
        />
      )}
    </span>
  )
}

interface OptionsProps {
  id: string
  name: string
  anchor: HTMLElement
  options: string[]
  active: number
  chosen: Value | undefined
  note: string | undefined
  choose(value: string): void
  close(): void
}

/** The list, above all else: tables that scroll do not cut it. */
function Options({ id, name, anchor, options, active, chosen, note, choose, close }: OptionsProps) {
  const box = useRef<HTMLDivElement>(null)

  useLayoutEffect(() => place(box.current!, anchor))

  useEffect(() => {
    const leave = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) close()
    }
    addEventListener('scroll', leave, true)
    addEventListener('resize', close)
    return () => {
      removeEventListener('scroll', leave, true)
      removeEventListener('resize', close)
    }
  }, [])

  useEffect(() => {
    box.current?.querySelector('[data-active]')?.scrollIntoView({ block: 'nearest' })
  }, [active])

  return (
    <div class="options" ref={box}>
      {options.length > 0 && (
        <div id={`${id}-list`} role="listbox" aria-label={`Values of ${name}`}>
          {options.map((option, i) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the input, which keeps the focus
            // biome-ignore lint/a11y/useFocusableInteractive: likewise
            <div
              key={option}
              id={`${id}-${i}`}
              role="option"
              aria-selected={option === chosen}
              data-active={i === active ? '' : undefined}
              // The input keeps the focus.
              onPointerDown={(event) => event.preventDefault()}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => choose(option)}
            >
              <bdi>{option === '' ? '(empty)' : option}</bdi>
            </div>
          ))}
        </div>
      )}
      {note && (
        <p class="small muted" role="status">
          {note}
        </p>
      )}
    </div>
  )
}

function place(box: HTMLElement, anchor: HTMLElement): void {
  const { left, top, bottom, width } = anchor.getBoundingClientRect()
  const below = innerHeight - bottom
  const goesUp = below < Math.min(listHeight, box.scrollHeight) && top > below
  box.style.minWidth = `${width}px`
  box.style.left = `${Math.max(8, Math.min(left, innerWidth - box.offsetWidth - 8))}px`
  box.style.top = goesUp ? 'auto' : `${bottom + 2}px`
  box.style.bottom = goesUp ? `${innerHeight - top + 2}px` : 'auto'
  box.style.maxHeight = `${Math.min(listHeight, (goesUp ? top : below) - 12)}px`
}

function moved(active: number, step: number, length: number): number {
  // By one it goes round; by more it stops at the ends.
  if (active < 0) return step > 0 ? 0 : length - 1
  if (Math.abs(step) === 1) return (active + step + length) % length
  return Math.max(0, Math.min(length - 1, active + step))
}

function noteOf(count: number, total: number, loaded: number, state: string): string | undefined {
  if (state === 'loading') return `Loading: ${number(loaded, 9)} of ${number(total, 9)} values …`
  if (state === 'failed') return 'The values can’t be loaded now. You can type one.'
  if (count === 0) return 'No known value fits. What you typed is sent all the same.'
  if (count > mostShown) return `${number(count - mostShown, 9)} more: type to narrow the list.`
  if (loaded < total) return `The first ${number(loaded, 9)} of ${number(total, 9)} values; you can type any other.`
  return undefined
}

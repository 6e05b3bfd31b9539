import type { Chip } from '../../parts/chips.tsx'
import { number } from '../../parts/format.ts'
import type { Fate, Fates } from './state/lists.ts'
import { type Field, type Item, textOfValue } from './state/model.ts'

/** The fate of a value, in words. */
const notes = {
  unknown: 'not known to the model: counts as any other unknown value',
  dropped: 'not known to the model: left out',
  cut: 'beyond the most that the model takes: cut',
}

/** A value with its fate; undefined: it is taken. */
export const chipOf = (item: Item, fate: Fate | undefined): Chip => ({
  text: textOfValue(item),
  note: fate && notes[fate],
  tone: fate,
})

/** How many values a list has, and what becomes of them. */
export function Count({ field, fates }: { field: Pick<Field, 'list'>; fates: Fates }) {
  const { max, keep = 'first' } = field.list!
  const unknown = fates.of.filter((fate) => fate === 'unknown').length
  return (
    <>
      {`${number(fates.of.length, 9)} of ${number(max, 9)}`}
      {fates.dropped > 0 && `; ${number(fates.dropped, 9)} not known, left out`}
      {unknown > 0 && `; ${number(unknown, 9)} not known`}
      {fates.cut > 0 && (
        <strong class="warning">{`; ${number(fates.cut, 9)} cut: the ${keep} ${number(max, 9)} count`}</strong>
      )}
    </>
  )
}

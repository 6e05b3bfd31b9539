import { effect, type Signal, signal } from '@preact/signals'

/** A text that the browser keeps; '' is none. Where it keeps nothing, the text lives as long as the page. */
export function createKept(place: string, storage: () => Storage): Signal<string> {
  const kept = signal(read(place, storage))
  effect(() => {
    const { value } = kept
    try {
      if (value === '') storage().removeItem(place)
      else storage().setItem(place, value)
    } catch {
      // The reader's browser allows no storage.
    }
  })
  return kept
}

function read(place: string, storage: () => Storage): string {
  try {
    return storage().getItem(place) ?? ''
  } catch {
    return ''
  }
}

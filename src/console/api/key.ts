import { signal } from '@preact/signals'

/** Where the key is kept: for this tab alone, until it is closed. */
const place = 'multigate-key'

/** The key that requests carry; '' where there is none. */
export const key = signal(read())

/** Why a key is asked for; undefined where none is. */
export const keyAsked = signal<string | undefined>(undefined)

/** Takes a key for this tab; '' forgets it. */
export function setKey(value: string): void {
  try {
    if (value === '') sessionStorage.removeItem(place)
    else sessionStorage.setItem(place, value)
  } catch {
    // Without storage the key lives as long as the page.
  }
  key.value = value
  keyAsked.value = undefined
}

function read(): string {
  try {
    return sessionStorage.getItem(place) ?? ''
  } catch {
    return ''
  }
}

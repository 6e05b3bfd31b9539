import { effect, signal } from '@preact/signals'

export type Theme = 'auto' | 'light' | 'dark'

const place = 'multigate-theme'
const order: readonly Theme[] = ['auto', 'light', 'dark']

/** The colours that the reader wants; `auto`: those of the system. */
export const theme = signal<Theme>(read())

/** Grows whenever other colours are shown, so that charts are painted again. */
export const repaint = signal(0)

export function nextTheme(): void {
  theme.value = order[(order.indexOf(theme.value) + 1) % order.length]!
}

effect(() => {
  document.documentElement.dataset.theme = theme.value
  try {
    localStorage.setItem(place, theme.value)
  } catch {
    // It holds until the page is closed.
  }
  repaint.value = repaint.peek() + 1
})

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  repaint.value++
})

function read(): Theme {
  try {
    const kept = localStorage.getItem(place) as Theme
    return order.includes(kept) ? kept : 'auto'
  } catch {
    return 'auto'
  }
}

import { computed, effect, signal } from '@preact/signals'
import { createKept } from './kept.ts'

export type Theme = 'auto' | 'light' | 'dark'

const order: readonly Theme[] = ['auto', 'light', 'dark']

const kept = createKept('multigate-theme', () => localStorage)

/** The colours that the reader wants; `auto`: those of the system. */
export const theme = computed(() => order.find((name) => name === kept.value) ?? 'auto')

/** Grows whenever other colours are shown, so that charts are painted again. */
export const repaint = signal(0)

export function nextTheme(): void {
  kept.value = order[(order.indexOf(theme.value) + 1) % order.length]!
}

effect(() => {
  document.documentElement.dataset.theme = theme.value
  repaint.value = repaint.peek() + 1
})

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  repaint.value++
})

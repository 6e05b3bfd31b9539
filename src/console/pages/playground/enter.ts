/** Puts the focus into an input, with its text chosen, so that typing replaces it. */
export function enter(id: string): void {
  const input = document.getElementById(id)
  input?.focus()
  if (input instanceof HTMLInputElement) input.select()
}

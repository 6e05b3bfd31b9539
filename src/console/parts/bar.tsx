/** A share from 0 to 1 as a bar; its number stands beside it, so that it says nothing to readers of a screen. */
export function Bar({ share, colour = 'var(--series-1)' }: { share: number; colour?: string }) {
  const shown = Math.min(1, Math.max(0, share))
  return (
    <span class="bar" aria-hidden="true">
      <span style={{ transform: `scaleX(${shown})`, background: colour }} />
    </span>
  )
}

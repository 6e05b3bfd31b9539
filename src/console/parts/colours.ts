/** Colours of charts: `--series-1` … `--series-6`. */
export const seriesColours = 6

/** A colour of tokens.css as a canvas takes it. */
export function colour(name: string): string {
  const probe = document.createElement('span')
  probe.style.color = `var(${name})`
  document.body.append(probe)
  const { color } = getComputedStyle(probe)
  probe.remove()
  return color
}

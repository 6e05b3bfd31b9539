/** The items of a setting with commas, without the spaces around them; none where it is empty. */
export function commaList(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
}

/** Where text goes: a standard stream, or a stand-in. */
export interface Terminal {
  isTTY?: boolean
  write(text: string): unknown
}

/** Shows one line of progress on a terminal; each text replaces the previous one, an empty text clears it. */
export function showProgress(terminal: Terminal): (text: string) => void {
  return (text) => {
    if (terminal.isTTY) terminal.write(`\r\x1b[K${text === '' ? '' : `${text} …`}`)
  }
}

/**
 * Does some work, and says on a terminal what it is and for how long it has run, once that is more than a second; `every`: ms
 * between two lines.
 */
export async function showWork<T>(terminal: Terminal, text: string, work: () => Promise<T>, every = 1000): Promise<T> {
  if (!terminal.isTTY) return work()
  const show = showProgress(terminal)
  let ticks = 0
  const timer = setInterval(() => show(`${text}, ${Math.round((++ticks * every) / 1000)} s`), every)
  try {
    return await work()
  } finally {
    clearInterval(timer)
    if (ticks > 0) show('')
  }
}

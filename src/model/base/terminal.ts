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

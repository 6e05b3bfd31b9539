/** Where text goes: a standard stream, or a stand-in. */
export interface Terminal {
  isTTY?: boolean
  write(text: string): unknown
}

/** On a terminal, a line that the next one replaces; an empty text takes it away. */
export function showProgress(terminal: Terminal): (text: string) => void {
  return (text) => {
    if (terminal.isTTY) terminal.write(`\r\x1b[K${text === '' ? '' : `${text} …`}`)
  }
}

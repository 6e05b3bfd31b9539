import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'

/** Whether a pseudo-terminal can be had: Python has them everywhere. */
export const skipWithoutTerminal =
  spawnSync('python3', ['-c', 'import pty, fcntl, termios']).status !== 0 && 'python3 is not installed'

/** Runs its arguments on a terminal of 100 × 30 characters; its input and output are the terminal's. */
const script = `
import fcntl, os, pty, select, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 30, 100, 0, 0))
sources = [fd, 0]
while True:
    ready, _, _ = select.select(sources, [], [])
    if fd in ready:
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b''
        if not data:
            break
        os.write(1, data)
    if 0 in ready:
        data = os.read(0, 65536)
        if data:
            os.write(fd, data)
        else:
            sources.remove(0)
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status) & 255)
`

export interface OnTerminal {
  /** The text that it has written so far. */
  text(): string
  type(keys: string): void
  /** Exit code. */
  ended: Promise<number>
}

export function onTerminal(t: Test, command: string[], env: Record<string, string> = {}): OnTerminal {
  const variables = Object.entries(process.env).filter(
    ([name]) => !name.startsWith('MULTIGATE_') && name !== 'NO_COLOR',
  )
  const child = spawn('python3', ['-c', script, ...command], {
    env: { ...Object.fromEntries(variables), TERM: 'xterm-256color', ...env },
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (piece) => (text += piece))
  const ended = once(child, 'close').then(([code]) => code as number)
  t.teardown(() => {
    child.kill('SIGKILL')
    return ended
  })
  return { text: () => text, type: (keys) => child.stdin.write(keys), ended }
}

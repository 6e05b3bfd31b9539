import t from 'tap'
import { showWork } from '../../../src/model/base/terminal.ts'

function createTerminal(isTTY: boolean) {
  const written: string[] = []
  let onWrite: () => void = () => undefined
  const first = new Promise<void>((resolve) => {
    onWrite = resolve
  })
  const write = (text: string) => {
    written.push(text)
    onWrite()
  }
  return { terminal: { isTTY, write }, written, first }
}

t.test('work that takes long is named on a terminal, and the line is cleared', async (t) => {
  const { terminal, written, first } = createTerminal(true)
  const result = await showWork(terminal, 'reading x', () => first.then(() => 7), 1)
  t.equal(result, 7)
  t.match(written[0], /reading x, 0 s …/)
  t.equal(written.at(-1), '\r\u001b[K')
  const failing = createTerminal(true)
  await t.rejects(
    showWork(failing.terminal, 'x', () => failing.first.then(() => Promise.reject(new Error('no'))), 1),
    { message: 'no' },
  )
  t.equal(failing.written.at(-1), '\r\u001b[K')
})

t.test('short work, and work without a terminal, writes nothing', async (t) => {
  for (const isTTY of [true, false]) {
    const { terminal, written } = createTerminal(isTTY)
    t.equal(await showWork(terminal, 'x', async () => 1), 1)
    t.same(written, [])
  }
})

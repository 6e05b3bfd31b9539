import t from 'tap'
import { showProgress, showWork } from '../../src/base/terminal.ts'
import { until } from '../support/until.ts'

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

t.test('a line of progress says for how long it has been the same; the next one replaces it', async (t) => {
  const { terminal, written } = createTerminal(true)
  const show = showProgress(terminal, 1)
  show('compiling')
  await until(() => written.length > 2)
  t.equal(written[0], '\r\u001b[Kcompiling …')
  t.match(written[1], /compiling, 0 s …$/)
  show('')
  const { length } = written
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.same(written.slice(length - 1), ['\r\u001b[K'])
  const file = createTerminal(false)
  showProgress(file.terminal, 1)('compiling')
  t.same(file.written, [])
})

t.test('how far it is changes the line, and not its time; a narrow terminal shows its beginning', async (t) => {
  const { terminal, written } = createTerminal(true)
  const show = showProgress(terminal, 1)
  show('fitting')
  await until(() => written.length > 2)
  show('fitting', 'pass 1')
  t.match(written.at(-1), /fitting: pass 1, 0 s …$/)
  show('judging', 'slice 1')
  t.equal(written.at(-1), '\r\u001b[Kjudging: slice 1 …')
  show('')
  const narrow = createTerminal(true)
  showProgress(Object.assign(narrow.terminal, { columns: 12 }))('0123456789abc')
  t.equal(narrow.written[0], '\r\u001b[K012345678 …')
  showProgress(narrow.terminal)('')
})

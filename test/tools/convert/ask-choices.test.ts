import { PassThrough } from 'node:stream'
import t from 'tap'
import { type Answers, askChoices } from '../../../src/tools/convert/ask-choices.ts'
import { parseDerived } from '../../../src/tools/convert/derived-option.ts'
import type { Scaffold } from '../../../src/tools/convert/init.ts'

const draft = {
  manifest: {
    name: 'shop',
    features: ['user_id', 'hour', 'item'].map((name) => ({ name })),
    tasks: [{ name: 'task_0' }, { name: 'task_1' }],
  },
} as unknown as Scaffold
const nothing = { name: false, tasks: false, fields: false, derived: false, data: false }

/** Types a line as soon as it is asked for one. */
async function answered(lines: string[], given = nothing): Promise<{ answers: Answers; shown: string }> {
  const [input, output] = [new PassThrough(), new PassThrough()]
  const left = [...lines]
  let shown = ''
  output.on('data', (chunk) => {
    shown += chunk
    if (!String(chunk).endsWith(']: ')) return
    const line = left.shift()
    if (line === undefined) input.end()
    else input.write(`${line}\n`)
  })
  const { signal } = new AbortController()
  return { answers: await askChoices(draft, given, { input, output, signal }), shown }
}

t.test('Enter accepts every guess', async (t) => {
  const { answers, shown } = await answered(['', '', '', '', ''])
  t.same(answers, {
    name: 'shop',
    tasks: ['task_0', 'task_1'],
    context: ['user_id', 'hour'],
    derived: [],
    data: undefined,
  })
  t.match(shown, /Name of the model \[shop\]: /)
  t.match(shown, /Fields: user_id, hour, item\n.*\[user_id,hour\]: /)
})

t.test('a wrong answer is explained and asked for again', async (t) => {
  const { answers, shown } = await answered([
    ...['sho p', 'store', 'ctr', 'ctr,cvr', 'users', 'none'],
    ...['buy', 'buy=ctr*cv', 'buy=ctr*cvr', 'rows.yaml'],
  ])
  t.same(answers, {
    name: 'store',
    tasks: ['ctr', 'cvr'],
    context: [],
    derived: [{ name: 'buy', product: ['ctr', 'cvr'] }],
    data: 'rows.yaml',
  })
  t.match(shown, /"sho p" can't be the name of a model/)
  t.match(shown, /the output has 2 columns/)
  t.match(shown, /there is no field "users"; .*did you mean user_id\?/)
  t.match(shown, /"buy" must be like buy=click\*cart\*purchase/)
  t.match(shown, /cv is none of the tasks: ctr, cvr/)
})

t.test('options are not asked for again', async (t) => {
  const { answers, shown } = await answered([], { name: true, tasks: true, fields: true, derived: true, data: true })
  t.equal(shown, '')
  t.equal(answers.context, undefined)
})

t.test('lines that are typed ahead are answers, too', async (t) => {
  const [input, output] = [new PassThrough(), new PassThrough()]
  output.resume()
  input.end('store\na,b\nhour\n\nrows.yaml\n')
  const { signal } = new AbortController()
  t.same(await askChoices(draft, nothing, { input, output, signal }), {
    ...{ name: 'store', tasks: ['a', 'b'], context: ['hour'], derived: [], data: 'rows.yaml' },
  })
})

t.test('a terminal that is closed ends it', async (t) => {
  await t.rejects(answered(['shop']), { code: 'INVALID_REQUEST', message: 'stopped: nothing was written' })
})

t.test('derived tasks in short', async (t) => {
  t.same(parseDerived('buy=click*cart*purchase, seen=click*view'), [
    { name: 'buy', product: ['click', 'cart', 'purchase'] },
    { name: 'seen', product: ['click', 'view'] },
  ])
  for (const wrong of ['buy', 'a=b=c', 'a=', '=b', 'a=b*', 'ecpm=a*b']) t.throws(() => parseDerived(wrong), wrong)
})

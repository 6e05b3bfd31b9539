import { PassThrough } from 'node:stream'
import t from 'tap'
import type { ImportManifest } from '../../../src/schemas/import.ts'
import { type Answers, askChoices } from '../../../src/tools/convert/ask-choices.ts'
import { parseDerived } from '../../../src/tools/convert/derived-option.ts'
import type { Scaffold } from '../../../src/tools/convert/init.ts'

const draft = {
  manifest: {
    name: 'shop',
    features: ['user_id', 'hour', 'item'].map((name) => ({ name })),
    tasks: [{ name: 'task_0' }, { name: 'task_1' }],
  },
  anyLength: [],
} as unknown as Scaffold
const nothing = { name: false, fields: false, tasks: false, derived: false, golden: false, data: false }
const all = { name: true, fields: true, tasks: true, derived: true, golden: true, data: true }

/** Files that end in `.yaml` are good; one of them has tasks. */
async function read(path: string): Promise<ImportManifest> {
  if (!path.endsWith('.yaml')) throw new Error(`${path} can't be read`)
  return { features: [], derived: [], ...(path === 'tasks.yaml' && { tasks: [{ name: 'view' }, { name: 'like' }] }) }
}
const checks = { fields: read, golden: read, data: read }

/** Types a line as soon as it is asked for one. */
async function answered(
  lines: string[],
  given = nothing,
  anyLength: string[][] = [],
): Promise<{ answers: Answers; shown: string }> {
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
  return { answers: await askChoices({ ...draft, anyLength }, given, checks, { input, output, signal }), shown }
}

t.test('Enter accepts every guess', async (t) => {
  const { answers, shown } = await answered(['', '', '', '', '', '', ''])
  t.same(answers, {
    name: 'shop',
    stated: undefined,
    tasks: ['task_0', 'task_1'],
    context: ['user_id', 'hour'],
    longest: undefined,
    derived: [],
    golden: undefined,
    data: undefined,
  })
  t.match(shown, /Name of the model \[shop\]: /)
  t.match(shown, /Which of user_id, hour, item are of the context \(user, page\) \[user_id,hour\]: /)
})

t.test('a wrong answer is explained and asked for again', async (t) => {
  const { answers, shown } = await answered([
    ...['sho p', 'store', '', 'ctr', 'ctr,cvr', 'users', 'none'],
    ...['buy', 'buy=ctr*cv', 'buy=ctr*cvr', 'golden.txt', '', 'rows', 'rows.yaml'],
  ])
  t.match(answers, {
    ...{ name: 'store', tasks: ['ctr', 'cvr'], context: [], golden: undefined, data: 'rows.yaml' },
    derived: [{ name: 'buy', product: ['ctr', 'cvr'] }],
  })
  t.match(shown, /"sho p" can't be the name of a model/)
  t.match(shown, /the output has 2 columns/)
  t.match(shown, /there is no field "users"; .*did you mean user_id\?/)
  t.match(shown, /"buy" must be like buy=click\*cart\*purchase/)
  t.match(shown, /cv is none of the tasks: ctr, cvr/)
  t.match(shown, /golden\.txt can't be read\n.*rows can't be read\n/s)
})

t.test('a file of fields says the sides, and may say the tasks', async (t) => {
  const { answers, shown } = await answered(['', 'tasks.yaml', 'both=view*like', '', ''])
  t.match(answers, { stated: { tasks: [{ name: 'view' }, {}] }, tasks: undefined, context: undefined })
  t.same(answers.derived, [{ name: 'both', product: ['view', 'like'] }])
  t.notMatch(shown, /Which of|in the order of the columns/)
})

t.test('options are not asked for again', async (t) => {
  const { answers, shown } = await answered([], all)
  t.equal(shown, '')
  t.equal(answers.context, undefined)
})

t.test('lines that are typed ahead are answers, too', async (t) => {
  const [input, output] = [new PassThrough(), new PassThrough()]
  output.resume()
  input.end('store\n\na,b\nhour\n\n\nrows.yaml\n')
  const { signal } = new AbortController()
  t.match(await askChoices(draft, nothing, checks, { input, output, signal }), {
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

t.test('lists of any length are asked for, those of a sequence together', async (t) => {
  const given = { ...all, fields: false }
  const { answers, shown } = await answered(['', '', 'few', '8', ''], given, [['views', 'kinds'], ['tags']])
  t.same([...answers.longest!], [...['views', 'kinds'].map((name) => [name, 8]), ['tags', 50]])
  t.match(shown, /Most values of views and kinds, of which there may be any number \[50\]: /)
  t.match(shown, /"few" is no whole number from 1 to 4096/)
  const stated = await answered(['fields.yaml'], given, [['views']])
  t.equal(stated.answers.longest, undefined)
})

import t from 'tap'
import type { InputUse, SavedTensor } from '../../../src/model/contracts/saved-signature.ts'
import { describeFields } from '../../../src/tools/convert/describe-fields.ts'
import { fitFields } from '../../../src/tools/convert/fit-fields.ts'
import { rolesOf } from '../../../src/tools/convert/input-roles.ts'
import { plainFields } from '../../../src/tools/convert/plain-fields.ts'

const unused: InputUse = { tables: [], padding: undefined, meets: [], apart: false }

/** Ids of one table, `width` of them; 0 for one without a dimension. */
function ids(name: string, width: number, table: string, use: Partial<InputUse> = {}): SavedTensor {
  const dims = width === 0 ? [] : [width]
  const rows = Array.from({ length: Math.abs(width) || 1 }, () => 10)
  return { name, dtype: 'int64', dims, ids: rows, shared: true, use: { ...unused, tables: [table], ...use } }
}

function numbers(name: string, width: number, use: Partial<InputUse> = {}, dtype = 'float32'): SavedTensor {
  const dims = width === 0 ? [] : [width]
  const none = Array.from({ length: Math.abs(width) || 1 }, () => undefined)
  return { name, dtype, dims, ids: none, shared: false, use: { ...unused, ...use } }
}

/** `hist: list`, `mask: mask of hist`, `kinds: list with hist`, `views: list, table of item` */
function told(inputs: SavedTensor[], features: Parameters<typeof rolesOf>[1] = []): string[] {
  return rolesOf(inputs, features).map(({ input, is, of, sequence, owner, guessed }) =>
    [
      `${input.name}: ${is}`,
      of && ` of ${of.name}`,
      sequence && sequence !== input && ` with ${sequence.name}`,
      owner && `, table of ${owner.name}`,
      guessed && ', guessed',
    ]
      .filter((part) => part)
      .join(''),
  )
}

const noSides = { context: [], cross: [] }

t.test('columns of the only input of ids are fields where they have uses of their own, else a list', async (t) => {
  t.same(told([ids('sparse', 3, 'a', { apart: true }), numbers('dense', 7)]), ['sparse: columns', 'dense: columns'])
  t.same(told([ids('words', 3, 'a')]), ['words: columns'])
  t.same(told([ids('words', 3, 'a', { padding: 0 })]), ['words: list'])
  t.same(told([ids('words', 3, 'a', { padding: 0, apart: true })]), ['words: columns'])
  const { use: _, ...unknown } = ids('words', 3, 'a', { padding: 0 })
  t.same(told([unknown]), ['words: columns'])
  const own = { ...ids('fields', 2, 'a'), ids: [4, 7], shared: false }
  t.same(told([ids('user', 0, 'b'), own]), ['user: columns', 'fields: columns'])
  t.same(told([ids('user', 0, 'b'), ids('hist', 3, 'a', { apart: true })]), ['user: columns', 'hist: list'])
})

t.test('lists that meet, or have one mask, are a sequence; equal lengths alone make none', async (t) => {
  const [hist, kinds, tags] = [ids('hist', 5, 'a'), ids('kinds', 5, 'b'), ids('tags', 5, 'c')]
  t.same(told([{ ...hist, use: { ...hist.use!, meets: ['kinds'] } }, kinds, tags]), [
    'hist: list',
    'kinds: list with hist',
    'tags: list',
  ])
  const mask = numbers('seen', 5, { meets: ['hist', 'kinds'] }, 'bool')
  const inputs = [hist, kinds, tags, mask]
  t.same(told(inputs), ['hist: list', 'kinds: list with hist', 'tags: list', 'seen: mask of hist'])
  const left: string[] = []
  const roles = rolesOf([hist, tags])
  describeFields(plainFields(roles, noSides), roles, [], left)
  t.ok(left.includes('/features/*/sequence: one name for hist, tags, if they describe the same items'))
  t.ok(left.some((line) => /list\/padding: .* stands for no value in hist, tags; taken is 0$/.test(line)))
  const sides = plainFields(rolesOf(inputs), { context: ['kinds'], cross: [] }).map(({ side }) => side)
  t.same(sides, ['context', 'context', 'candidate'])
})

t.test('weights that no name shows are refused with the name that would', async (t) => {
  const numeric = { kind: 'numeric', side: 'candidate', scaling: { method: 'none' }, missing: 'error' } as const
  const list = { max: 3, keep: 'first', weighted: true } as const
  const tags = { name: 'tags', side: 'candidate', kind: 'integer', size: 9, missing: 'error', list } as const
  const features = [
    { ...tags, out_of_vocabulary: 'drop' as const },
    { ...numeric, name: 'price' },
  ]
  const fit = (name: string) => {
    const inputs = [ids('tags', 3, 'a', { padding: 0 }), numbers(name, 3, { meets: ['tags'] }), numbers('price', 1)]
    return fitFields(features, rolesOf(inputs, features), false).map(({ role }) => role.input.name)
  }
  t.same(fit('tags_weight'), ['price'])
  t.throws(() => fit('boost'), /the graph takes 4: .*; the weights of tags must be .* such as tags_weight, .*rename/)
})

t.test('masks, lengths and weights go to the list that they meet, or whose name they have', async (t) => {
  const lists = [ids('hist', 5, 'a'), ids('tags', 3, 'b')]
  t.same(told([...lists, numbers('tags_len', 0, {}, 'int64'), numbers('len', 1, {}, 'int32')]).slice(2), [
    'tags_len: lengths of tags',
    'len: lengths of hist',
  ])
  t.same(told([...lists, numbers('lengths', 0, {}, 'int64')]).slice(2), ['lengths: lengths of hist, guessed'])
  t.same(told([...lists, numbers('lengths', 0, { meets: ['tags'] }, 'int64')]).slice(2), ['lengths: lengths of tags'])
  t.same(told([...lists, numbers('mask', 3), numbers('any', 5, {}, 'bool')]).slice(2), [
    'mask: mask of tags',
    'any: mask of hist',
  ])
  t.same(told([...lists, numbers('mask', 4, {}, 'bool')]).slice(2), ['mask: columns'], 'no list is as long')
  t.same(told([...lists, ids('length_bin', 0, 'c')]).slice(2), ['length_bin: columns'], 'what is looked up is a field')
  const weighted = rolesOf([...lists, numbers('tag_weights', 3)])
  t.match(weighted[2], { is: 'weights', of: { name: 'tags' } })
  t.match(plainFields(weighted, noSides)[1], { name: 'tags', list: { max: 3, weighted: true } })
})

t.test('what a person calls a field is one', async (t) => {
  const inputs = [ids('hist', 5, 'a', { padding: 0 }), numbers('len', 0, {}, 'int64')]
  const len = {
    name: 'len',
    side: 'context',
    kind: 'integer',
    size: 9,
    out_of_vocabulary: 'error',
    missing: 'error',
  } as const
  t.same(told(inputs), ['hist: list', 'len: lengths of hist'])
  t.same(told(inputs, [len]), ['hist: list', 'len: columns'])
})

t.test('numbers beside others are a vector where they stay together, and a list where they meet one', async (t) => {
  const user = ids('user', 0, 'a')
  t.same(told([user, numbers('sizes', 4)]).slice(1), ['sizes: columns'])
  t.same(told([user, numbers('image', 4)]).slice(1), ['image: vector'])
  t.same(told([user, numbers('sizes', 4), numbers('price', 1)]).slice(1), ['sizes: vector', 'price: columns'])
  t.same(told([user, numbers('sizes', 4, { apart: true }), numbers('price', 1)])[1], 'sizes: columns')
  const ages = rolesOf([ids('hist', 4, 'a', { padding: 0 }), numbers('ages', 4, { meets: ['hist'] })])
  t.match(ages[1], { is: 'list', sequence: { name: 'hist' } })
  t.match(plainFields(ages, noSides)[1], { kind: 'numeric', list: { max: 4 }, sequence: 'hist' })
})

t.test('a single id owns the table that lists read; without one, the first list does', async (t) => {
  t.same(told([ids('views', 5, 'a'), ids('buys', 4, 'a'), ids('item', 0, 'a')]), [
    'views: list, table of item',
    'buys: list, table of item',
    'item: columns',
  ])
  const lists = [ids('views', 5, 'a', { padding: 9 }), ids('buys', 4, 'a')]
  t.same(told(lists), ['views: list', 'buys: list, table of views'])
  t.match(plainFields(rolesOf(lists), noSides), [
    { kind: 'integer', size: 10, out_of_vocabulary: 'drop', missing: { default: [] }, list: { max: 5, padding: 9 } },
    { kind: 'shared', table: 'views', out_of_vocabulary: 'drop', list: { max: 4, padding: 0 } },
  ])
})

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { stagesOf } from '../support/request-path.ts'

type Text = [holds: string, change: string]
type Rooms = Record<string, Text>

const root = join(import.meta.dirname, '../../..')
const map = (await import(join(root, 'scripts/map.mjs'))) as {
  checkMap(): { problems: string[]; isCurrent: boolean }
  roomsOf(configuration: { order: Rooms[]; inside: Rooms }): Map<string, Text>
  differences(rooms: Map<string, Text>, folders: string[]): string[]
  renderRooms(rooms: Map<string, Text>, loose: Rooms): string
  renderOrder(order: Rooms[]): string
}
const { withPart } = (await import(join(root, 'scripts/generated.mjs'))) as {
  withPart(text: string, name: string, part: string, page: string): string
}

const rooms = (names: string[]) => new Map(names.map((name): [string, Text] => [name, ['holds `inner/`', 'all']]))

t.test('the map has every folder of src/, and is written from the lint configuration', async (t) => {
  const { problems, isCurrent } = map.checkMap()
  t.same(problems, [])
  t.ok(isCurrent, 'docs/architecture.md is out of date: run node scripts/map.mjs')
})

t.test('a folder is a room, or the text of the room around it names it', async (t) => {
  const folders = ['server', 'server/inner', 'tools/train/inner/inner']
  t.same(map.differences(rooms(['server', 'tools/train']), folders), [])
  t.match(map.differences(rooms(['server']), ['server', 'server/inner', 'server/other']), [
    /^src\/server\/other\/ is no room/,
  ])
  t.match(map.differences(rooms(['server']), ['server', 'server/inner', 'other']), [/^src\/other\/ is no room/])
  t.match(map.differences(rooms(['server']), ['server/inner/other']), [/^src\/server\/inner\/other\/ is no room/])
  t.same(map.differences(new Map([['server', ['a folder per protocol, `*/`', '']]]), ['server', 'server/other']), [])
})

t.test('what the map names is there', async (t) => {
  t.match(map.differences(rooms(['server', 'gone']), ['server/inner']), [
    /^src\/gone\/ has no files/,
    /^src\/gone\/ has no folder inner\//,
  ])
  t.match(map.differences(rooms(['server']), ['server']), [/^src\/server\/ has no folder inner\//])
  const text: Text = ['', '']
  t.throws(
    () => map.roomsOf({ order: [{ server: text }], inside: { 'tools/train': text } }),
    /tools\/train .* no room of `order`/,
  )
})

t.test('rooms are listed in their order, with those within after each, one table per box', async (t) => {
  const text: Text = ['a', 'b']
  const order: Rooms[] = [{ base: text }, { 'model/graph/ir': text, server: text }, { app: text }]
  const written = map.renderRooms(map.roomsOf({ order, inside: { 'server/body': text } }), { main: text })
  t.same(written.match(/(?<=^\| `).+?(?=`)/gm), [
    'main.ts',
    'base/',
    'app/',
    'model/graph/ir/',
    'server/',
    'server/body/',
  ])
  t.same(written.match(/(?<=^### `).+?(?=`)/gm), ['model/graph/', 'server/'], 'no table without a room')
  t.match(map.renderOrder(order), 'base ← model/graph/ir, server ← app')
  t.equal(
    withPart('a\n<!-- x -->\nold\n<!-- /x -->\nb\n', 'x', 'new\n', 'page'),
    'a\n<!-- x -->\nnew\n<!-- /x -->\nb\n',
  )
  t.throws(() => withPart('a', 'x', 'new', 'page'), /page has no markers <!-- x --> … <!-- \/x -->/)
})

t.test('the codes of a request on its path are explained', async (t) => {
  const explained = readFileSync(join(root, 'docs/errors.md'), 'utf8')
  const stages = stagesOf(readFileSync(join(root, 'docs/architecture.md'), 'utf8'))
  // A client that has gone gets no answer.
  const codes = stages.flatMap(({ mayFailWith }) => mayFailWith).filter((code) => code !== 'CANCELLED')
  t.same(
    codes.filter((code) => !explained.includes(`| \`${code}\` |`)),
    [],
  )
})

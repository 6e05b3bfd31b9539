// Writes the tables of rooms and the order of imports between the markers `<!-- rooms -->` and `<!-- order -->` of
// docs/architecture.md, from `.dependency-cruiser.mjs`.
//   node scripts/map.mjs            writes
//   node scripts/map.mjs --check    writes nothing; exits with 1 where the page or the configuration has to change
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inside, loose, order } from '../.dependency-cruiser.mjs'
import { filesBelow } from './files.mjs'
import { withPart, writeGenerated } from './generated.mjs'

const root = join(import.meta.dirname, '..')
const page = 'docs/architecture.md'

/** Boxes, whose rooms share a table; every other room is in the first. */
const boxes = ['model', 'model/graph', 'model/engines', 'model/serving', 'server', 'tools']

/** Longest line of the order, characters. */
const longestLine = 100

/** The rooms of a configuration by their path, those within a room after it. */
export function roomsOf({ order, inside }) {
  const ordered = order.flatMap((line) => Object.entries(line))
  const known = new Set(ordered.map(([room]) => room))
  const orphans = Object.entries(inside).filter(([room]) => !known.has(roomAround(room, known)))
  if (orphans.length > 0)
    throw new Error(`${orphans[0][0]} of \`inside\` is within no room of \`order\` in .dependency-cruiser.mjs`)
  return new Map(
    ordered.flatMap(([room, text]) => [
      [room, text],
      ...Object.entries(inside).filter(([inner]) => roomAround(inner, known) === room),
    ]),
  )
}

/** The innermost of these rooms that a folder is within. */
function roomAround(folder, rooms) {
  return ancestors(folder).find((path) => rooms.has(path))
}

/** `a/b/c` → `a/b`, `a`. */
function ancestors(folder) {
  const parts = folder.split('/')
  return parts.slice(1).map((_, i) => parts.slice(0, -1 - i).join('/'))
}

/**
 * Differences between the rooms and the folders of src/ that have files of their own: each with what to do about it. A
 * folder is a room, or the room around it names it.
 */
export function differences(rooms, folders) {
  const config = '.dependency-cruiser.mjs'
  const unnamed = folders.filter((folder) => {
    if (rooms.has(folder)) return false
    const around = roomAround(folder, rooms)
    const within = around && folder.slice(around.length + 1).split('/')
    return !within?.every((name) => foldersIn(rooms.get(around)).some((named) => named === '*' || named === name))
  })
  const gone = [...rooms.keys()].filter((room) => !folders.some((folder) => isWithin(folder, room)))
  const misnamed = [...rooms].flatMap(([room, text]) =>
    foldersIn(text)
      .filter(
        (name) => name !== '*' && !folders.some((folder) => isWithin(folder, room) && folder.split('/').includes(name)),
      )
      .map((name) => [room, name]),
  )
  return [
    ...unnamed.map(
      (f) => `src/${f}/ is no room: add it to \`order\` or \`inside\` of ${config}, or name it in a room's text`,
    ),
    ...gone.map((room) => `src/${room}/ has no files: rename or remove the room in ${config}`),
    ...misnamed.map(([room, name]) => `src/${room}/ has no folder ${name}/, which its text in ${config} names`),
  ]
}

const isWithin = (folder, room) => folder === room || folder.startsWith(`${room}/`)

/** The folders that a room's texts name, such as `report/`, or `*` for all; other rooms have a path. */
const foldersIn = (text) => [...text.join(' ').matchAll(/`([\w-]+|\*)\/`/g)].map(([, name]) => name)

/** Folders with files of their own, below src/. */
function foldersBelow(src) {
  const folders = filesBelow(src).map((file) => relative(src, dirname(file)).replaceAll('\\', '/'))
  return [...new Set(folders)].filter((folder) => folder !== '').sort()
}

/** One table per box, below its heading. */
export function renderRooms(rooms, loose) {
  const boxOf = (room) => boxes.findLast((box) => isWithin(room, box)) ?? ''
  const row = (name, text) => `| ${[`\`${name}\``, ...text].join(' | ')} |`
  return ['', ...boxes]
    .flatMap((box) => {
      const rows = [...rooms].filter(([room]) => boxOf(room) === box).map(([room, text]) => row(`${room}/`, text))
      if (box === '') rows.unshift(...Object.entries(loose).map(([name, text]) => row(`${name}.ts`, text)))
      if (rows.length === 0) return []
      const heading = box === '' ? '' : `### \`${box}/\`\n\n`
      return `${heading}| room | holds | you may change |\n| --- | --- | --- |\n${rows.join('\n')}\n`
    })
    .join('\n')
}

/** The lines of the order, wrapped. */
export function renderOrder(order) {
  const lines = []
  for (const line of order) {
    const text = Object.keys(line).join(', ')
    const last = lines.at(-1)
    if (last !== undefined && last.length + text.length + 3 <= longestLine) lines.push(`${lines.pop()} ← ${text}`)
    else lines.push(last === undefined ? text : `  ← ${text}`)
  }
  return `\`\`\`text\n${lines.join('\n')}\n\`\`\`\n`
}

/** The faults of the page, and the page as it should be. */
export function checkMap() {
  const rooms = roomsOf({ order, inside })
  const text = readFileSync(join(root, page), 'utf8')
  const parts = { rooms: renderRooms(rooms, loose), order: renderOrder(order) }
  let updated = text
  for (const [name, part] of Object.entries(parts)) updated = withPart(updated, name, `\n${part}\n`, page)
  const problems = differences(rooms, foldersBelow(join(root, 'src')))
  return { problems, updated, isCurrent: updated === text }
}

function main() {
  const { problems, updated } = checkMap()
  if (writeGenerated(page, updated, 'node scripts/map.mjs')) console.log(`${page} written`)
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main()

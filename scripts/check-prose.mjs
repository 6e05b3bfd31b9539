// Checks the prose of documents, and of comments and messages in code, against the rules in .prose.yaml.
//   node scripts/check-prose.mjs [files]    lists every finding as file:line:column; exits with 1 if there is one
// Code in documents, link targets and identifiers are not prose. Paths are relative to the working directory.
import { readFileSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import { globSync } from 'tinyglobby'
import { parse } from 'yaml'

const { files, commentsOnly, ignore, unfinished, columns, rules } = parse(readFileSync('.prose.yaml', 'utf8'))
const patterns = rules.map(({ avoid, use, begins = false }) => ({ use, begins, pattern: patternOf(avoid, begins) }))
/** Each gives the prose of a text, all else masked, and the places of its comments. */
const readers = {
  '.md': readMarkdown,
  '.ts': readCode,
  '.tsx': readCode,
  '.mjs': readCode,
  '.js': readCode,
  '.sh': readShell,
}
const ofComments = new Set(globSync(commentsOnly, { ignore }))
const chosen = process.argv.length > 2 ? process.argv.slice(2) : [...globSync(files, { ignore }), ...ofComments]
const problems = []

for (const file of chosen.sort()) {
  if (unfinished.includes(file)) continue
  problems.push(...(await findingsIn(file)))
}
// The list can only get shorter.
for (const file of unfinished)
  if (!chosen.includes(file)) problems.push(`.prose.yaml: unfinished lists ${file}, which is not checked`)
  else if ((await findingsIn(file)).length === 0)
    problems.push(`.prose.yaml: ${file} is clean: remove it from unfinished`)

for (const problem of problems) console.error(problem)
const checked = chosen.filter((file) => !unfinished.includes(file)).length
console.log(`prose: ${checked} files checked, ${problems.length} problems`)
process.exitCode = problems.length > 0 ? 1 : 0

async function findingsIn(file) {
  const text = readFileSync(resolve(file), 'utf8')
  const { prose, comments } = await readers[extname(file)](text, extname(file))
  const words = patterns.flatMap(({ pattern, use, begins }) => {
    if (begins) return comments.flatMap((comment) => beginningOf(comment, text, pattern, use))
    if (ofComments.has(file)) return []
    return [...prose.matchAll(pattern)].map((match) => ({ at: match.index, found: match[0], use }))
  })
  return [...words, ...wideLines(comments, text)]
    .sort((a, b) => a.at - b.at)
    .map(({ at, found, use }) => {
      const before = text.slice(0, at).split('\n')
      return `${file}:${before.length}:${before.at(-1).length + 1} "${found.trim().replaceAll(/\s+/g, ' ')}": ${use}`
    })
}

/** The words that a comment begins with, if they match; its marks are passed over. */
function beginningOf([from, to], text, pattern, use) {
  const comment = text.slice(from, to)
  pattern.lastIndex = comment.match(/^[/*#\s]*/)[0].length
  const match = pattern.exec(comment)
  return match === null ? [] : [{ at: from + match.index, found: match[0], use }]
}

/** The ends of comment lines that are too long. Directives of tools have to stay on one line. */
function wideLines(comments, text) {
  const lines = new Map()
  for (const [from, to] of comments)
    for (let at = text.lastIndexOf('\n', from - 1) + 1; at < to; at += lines.get(at).length + 1)
      lines.set(at, text.slice(at).split('\n', 1)[0])
  return [...lines]
    .filter(([, line]) => line.length > columns && !/(?:\/\/|\/\*) (?:biome-ignore|@ts-)/.test(line))
    .map(([at, line]) => ({ at: at + columns, found: line.slice(columns), use: `wrap at ${columns} columns` }))
}

/**
 * Whole words, in any case unless there is a capital letter in them; a space also matches a line break, with the marks
 * that begin a quote or a comment line. `begins`: only where the search starts.
 */
function patternOf(avoid, begins) {
  return new RegExp(
    `(?<![\\w-])(?:${avoid.replaceAll(' ', '\\s+(?:(?:\\*|//|>|#)\\s+)?')})(?![\\w-])`,
    (begins ? 'y' : 'g') + (/[A-Z]/.test(avoid) ? '' : 'i'),
  )
}

function readMarkdown(text) {
  const prose = text
    .replaceAll(/^( *)(`{3,}|~{3,})[^\n]*\n[\s\S]*?^ *\2/gm, mask)
    .replaceAll(/<!--[\s\S]*?-->/g, mask)
    .replaceAll(/(?<!`)(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)/g, mask)
    .replaceAll(/(?<=\])\([^)\s]*\)/g, mask)
    .replaceAll(/https?:\/\/[^\s)>]+/g, mask)
  return { prose, comments: [] }
}

/** Comments, strings, the text of templates and of JSX are prose; module specifiers are not. */
async function readCode(text, extension) {
  const { default: ts } = await import('typescript')
  const source = ts.createSourceFile(`code${extension}`, text, ts.ScriptTarget.Latest, true)
  const texts = []
  const comments = new Map()
  visit(source)
  const ranges = [...texts, ...comments].sort(([a], [b]) => a - b)
  let prose = ''
  for (const [from, to] of ranges) {
    if (from < prose.length) continue
    prose += mask(text.slice(prose.length, from)) + text.slice(from, to)
  }
  return { prose: prose + mask(text.slice(prose.length)), comments: joinLines([...comments], text) }

  function visit(node) {
    if (ts.isJSDoc(node)) return
    if (ts.isJsxText(node)) {
      texts.push([node.pos, node.end])
      return
    }
    if (ts.isStringLiteralLike(node) || ts.isTemplateLiteralToken(node)) {
      if (!(ts.isImportDeclaration(node.parent) || ts.isExportDeclaration(node.parent)))
        texts.push([node.getStart(), node.end])
    }
    // Between a token and the one before it, on the line of that and on lines below.
    for (const { pos, end } of [
      ...(ts.getTrailingCommentRanges(text, node.getFullStart()) ?? []),
      ...(ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []),
    ])
      comments.set(pos, end)
    for (const child of node.getChildren(source)) visit(child)
  }
}

/** Line comments that follow each other are one comment. */
function joinLines(comments, text) {
  const joined = []
  for (const [from, to] of comments.sort(([a], [b]) => a - b)) {
    const before = joined.at(-1)
    const isLine = text.startsWith('//', from) && text.startsWith('//', before?.[0])
    if (before !== undefined && isLine && /^\r?\n[ \t]*$/.test(text.slice(before[1], from))) before[1] = to
    else joined.push([from, to])
  }
  return joined
}

/** Comments on lines of their own are prose. */
function readShell(text) {
  const blocks = text.matchAll(/^# .*(?:\n#.*)*/gm)
  return {
    prose: text.replaceAll(/^(?!# ).*$/gm, mask),
    comments: [...blocks].map(({ 0: block, index }) => [index, index + block.length]),
  }
}

/** Keeps the length and the lines. */
function mask(text) {
  return text.replaceAll(/[^\n]/g, '~')
}

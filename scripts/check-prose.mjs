// Checks the prose of documents, and of comments and messages in code, against the rules in .prose.yaml.
//   node scripts/check-prose.mjs [files]    lists every finding as file:line:column; exits with 1 if there is one
// Code in documents, link targets and identifiers are not prose. Paths are relative to the working directory.
import { readFileSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import { globSync } from 'tinyglobby'
import { parse } from 'yaml'

const { files, ignore, unfinished, rules } = parse(readFileSync('.prose.yaml', 'utf8'))
const patterns = rules.map(({ avoid, use }) => ({ use, pattern: patternOf(avoid) }))
const readers = {
  '.md': proseOfMarkdown,
  '.ts': proseOfCode,
  '.mjs': proseOfCode,
  '.js': proseOfCode,
  '.sh': proseOfShell,
}
const chosen = process.argv.length > 2 ? process.argv.slice(2) : globSync(files, { ignore })
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
  const prose = await readers[extname(file)](text)
  return patterns
    .flatMap(({ pattern, use }) => [...prose.matchAll(pattern)].map((match) => ({ match, use })))
    .sort((a, b) => a.match.index - b.match.index)
    .map(({ match, use }) => {
      const before = text.slice(0, match.index).split('\n')
      const found = match[0].trim().replaceAll(/\s+/g, ' ')
      return `${file}:${before.length}:${before.at(-1).length + 1} "${found}": ${use}`
    })
}

/**
 * Whole words, in any case unless there is a capital letter in them; a space also matches a line break, with the marks
 * that begin a quote or a comment line.
 */
function patternOf(avoid) {
  return new RegExp(
    `(?<![\\w-])(?:${avoid.replaceAll(' ', '\\s+(?:(?:\\*|//|>|#)\\s+)?')})(?![\\w-])`,
    /[A-Z]/.test(avoid) ? 'g' : 'gi',
  )
}

function proseOfMarkdown(text) {
  return text
    .replaceAll(/^( *)(`{3,}|~{3,})[^\n]*\n[\s\S]*?^ *\2/gm, mask)
    .replaceAll(/<!--[\s\S]*?-->/g, mask)
    .replaceAll(/(?<!`)(`+)(?!`)[\s\S]*?(?<!`)\1(?!`)/g, mask)
    .replaceAll(/(?<=\])\([^)\s]*\)/g, mask)
    .replaceAll(/https?:\/\/[^\s)>]+/g, mask)
}

/** Comments, strings and the text of templates; module specifiers are not prose. */
async function proseOfCode(text) {
  const { default: ts } = await import('typescript')
  const source = ts.createSourceFile('code.ts', text, ts.ScriptTarget.Latest, true)
  const ranges = []
  visit(source)
  ranges.sort(([a], [b]) => a - b)
  let prose = ''
  for (const [from, to] of ranges) {
    if (from < prose.length) continue
    prose += mask(text.slice(prose.length, from)) + text.slice(from, to)
  }
  return prose + mask(text.slice(prose.length))

  function visit(node) {
    if (ts.isStringLiteralLike(node) || ts.isTemplateLiteralToken(node)) {
      if (!(ts.isImportDeclaration(node.parent) || ts.isExportDeclaration(node.parent)))
        ranges.push([node.getStart(), node.end])
    }
    for (const { pos, end } of [
      ...(ts.getLeadingCommentRanges(text, node.getFullStart()) ?? []),
      ...(ts.getTrailingCommentRanges(text, node.end) ?? []),
    ])
      ranges.push([pos, end])
    for (const child of node.getChildren(source)) visit(child)
  }
}

/** Comments on lines of their own. */
function proseOfShell(text) {
  return text.replaceAll(/^(?!# ).*$/gm, mask)
}

/** Keeps the length and the lines. */
function mask(text) {
  return text.replaceAll(/[^\n]/g, '~')
}

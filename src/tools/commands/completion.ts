import type { Command, Option } from 'commander'

/** A command as a shell completes it. */
interface Shape {
  /** Its words after `multigate`: `keys create`; '' for multigate itself. */
  path: string
  description: string
  commands: Named[]
  options: OptionShape[]
  /** Values of its first argument, if they are few. */
  choices: readonly string[]
}

interface Named {
  /** `keys`, `--models`. */
  name: string
  description: string
}

interface OptionShape extends Named {
  takes: 'nothing' | 'choice' | 'file' | 'other'
  choices: readonly string[]
}

/** The script of a shell, made from the definitions of the commands. */
export function completionScript(shell: 'bash' | 'zsh' | 'fish', commands: readonly Command[]): string {
  const shapes = shapesOf(commands)
  return { bash, zsh, fish }[shell](shapes)
}

function shapesOf(commands: readonly Command[]): Shape[] {
  const root: Shape = {
    path: '',
    description: '',
    commands: commands.map(named),
    options: [help, { ...help, name: '--version', description: 'print the version' }],
    choices: [],
  }
  const below = (command: Command, before: string): Shape[] => {
    const path = `${before}${command.name()}`
    const shape: Shape = {
      path,
      description: command.description(),
      commands: command.commands.map(named),
      options: [...command.options.filter(({ hidden, long }) => !hidden && long).map(optionShape), help],
      choices: command.registeredArguments[0]?.argChoices ?? [],
    }
    return [shape, ...command.commands.flatMap((child) => below(child, `${path} `))]
  }
  return [root, ...commands.flatMap((command) => below(command, ''))]
}

const named = (command: Command): Named => ({ name: command.name(), description: command.description() })
const help: OptionShape = { name: '--help', description: 'show help', takes: 'nothing', choices: [] }

/** Placeholders of values that are paths: `<file.svg>`, `<folder>`. */
const paths = /[<[](?:file|folder|path|spec)\b/

function optionShape({ long, description, flags, argChoices, required, optional }: Option): OptionShape {
  const choices = argChoices ?? []
  const takes = choices.length > 0 ? 'choice' : paths.test(flags) ? 'file' : required || optional ? 'other' : 'nothing'
  return { name: long!, description, takes, choices }
}

const words = (values: readonly string[]) => values.join(' ')
const nested = (shapes: readonly Shape[]) => shapes.filter(({ path }) => path !== '')

/** Patterns of a `case` on the command so far and the next word: those that go one command deeper. */
function deeper(shapes: readonly Shape[]): string {
  const patterns = nested(shapes).map(({ path }) => {
    const at = path.lastIndexOf(' ')
    return `"${path.slice(0, Math.max(0, at))} ${path.slice(at + 1)}"`
  })
  return patterns.join('|')
}

/**
 * Lines of `case` statements: on the command with an option that takes a value, and on the command. `actionOf`: the
 * action for a value; `listOf`: the offer of some of these.
 */
function cases(
  shapes: readonly Shape[],
  actionOf: (option: OptionShape) => string,
  listOf: (items: readonly Named[]) => string,
) {
  const values = shapes.flatMap(({ path, options }) =>
    options
      .filter(({ takes }) => takes !== 'nothing')
      .map((option) => `    "${path} ${option.name}") ${actionOf(option)} ;;`),
  )
  const options = shapes.map(({ path, options }) => `      "${path}") ${listOf(options)} ;;`)
  const commands = shapes.flatMap(({ path, commands, choices }) => {
    const items = [...commands, ...choices.map((name) => ({ name, description: '' }))]
    return items.length === 0 ? [] : [`      "${path}") ${listOf(items)} ;;`]
  })
  return { values, options, commands }
}

/** Without results bash completes files (`-o default`), which is also right for values of options. */
function bash(shapes: readonly Shape[]): string {
  const { values, options, commands } = cases(
    shapes,
    ({ choices }) =>
      choices.length > 0 ? `COMPREPLY=($(compgen -W "${words(choices)}" -- "$cur")); return` : 'return',
    (items) => `names="${words(items.map(({ name }) => name))}"`,
  )
  return `# bash completion of multigate: multigate completion bash
_multigate() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" command="" names="" i
  # --name=value is three words.
  if [[ $cur == "=" ]]; then cur=""
  elif [[ $prev == "=" && $COMP_CWORD -ge 2 ]]; then prev="\${COMP_WORDS[COMP_CWORD-2]}"
  fi
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command \${COMP_WORDS[i]}" in
      ${deeper(shapes)}) command="\${command:+$command }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$command $prev" in
${values.join('\n')}
  esac
  if [[ $cur == -* ]]; then
    case "$command" in
${options.join('\n')}
    esac
  else
    case "$command" in
${commands.join('\n')}
    esac
  fi
  [[ -n $names ]] && COMPREPLY=($(compgen -W "$names" -- "$cur"))
  return 0
}
complete -o default -F _multigate multigate
`
}

/** One line of text within single quotes; the same in zsh and fish but for quotes themselves. */
const plain = (text: string) => text.replaceAll(/\s+/g, ' ').replaceAll("'", '’').replaceAll('\\', '')

function zsh(shapes: readonly Shape[]): string {
  const item = ({ name, description }: Named) =>
    `'${name.replaceAll(':', '\\:')}:${plain(description).replaceAll(':', '\\:')}'`
  const { values, options, commands } = cases(
    shapes,
    ({ takes, choices }) =>
      `${takes === 'choice' ? `compadd -- ${words(choices)}` : takes === 'file' ? '_files' : 'return 1'}; return`,
    (items) => `items=(${words(items.map(item))})`,
  )
  return `#compdef multigate
# zsh completion of multigate: multigate completion zsh
_multigate() {
  local command="" i
  local -a items
  for ((i = 2; i < CURRENT; i++)); do
    case "$command \${words[i]}" in
      ${deeper(shapes)}) command="\${command:+$command }\${words[i]}" ;;
    esac
  done
  case "$command \${words[CURRENT-1]}" in
${values.join('\n')}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then
    case "$command" in
${options.join('\n')}
    esac
  else
    case "$command" in
${commands.join('\n')}
    esac
  fi
  if (( \${#items} > 0 )); then _describe multigate items; else _files; fi
}
if [[ "\${funcstack[1]}" == _multigate ]]; then _multigate "$@"; else compdef _multigate multigate; fi
`
}

function fish(shapes: readonly Shape[]): string {
  const lines = shapes.flatMap(({ path, commands, options, choices }) => {
    const seen = path.split(' ').map((word) => `__fish_seen_subcommand_from ${word}`)
    const inner = words(commands.map(({ name }) => name))
    const here = path === '' ? '__fish_use_subcommand' : seen.join('; and ')
    const before = path === '' || inner === '' ? here : `${here}; and not __fish_seen_subcommand_from ${inner}`
    return [
      ...commands.map(
        ({ name, description }) => `complete -c multigate -f -n '${before}' -a ${name} -d '${plain(description)}'`,
      ),
      ...choices.map((choice) => `complete -c multigate -f -n '${here}' -a ${choice}`),
      ...options.map(({ name, description, takes, choices }) => {
        const value = { nothing: '', choice: ` -x -a '${words(choices)}'`, file: ' -r -F', other: ' -x' }[takes]
        return `complete -c multigate -n '${before}' -l ${name.slice(2)}${value} -d '${plain(description)}'`
      }),
    ]
  })
  return `# fish completion of multigate: multigate completion fish\n${lines.join('\n')}\n`
}

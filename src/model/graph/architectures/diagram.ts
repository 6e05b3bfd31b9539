/* The drawing of an architecture, for people: columns of parts. The console shows it. */

/** A part of a model; `reads`: ids of the parts that it reads. */
export interface Box {
  id: string
  title: string
  note?: string
  reads: string[]
  /** Gates weigh what they read. */
  isGate?: boolean
}

export interface Column {
  title: string
  boxes: Box[]
}

type Options = Record<string, unknown>

export const taskId = (task: string): string => `task ${task}`
export const towerId = (task: string): string => `tower ${task}`

/** Towers on what `source` names, and their tasks. */
export function towerColumns(options: object, tasks: string[], source: (task: string) => string): Column[] {
  return [
    {
      title: 'Towers',
      boxes: tasks.map((task) => ({
        id: towerId(task),
        title: `Tower of ${task}`,
        note: layersNote(options, 'tasks', task),
        reads: [source(task)],
      })),
    },
    taskColumn(tasks, towerId),
  ]
}

/** Sequences of lists, by how the network reads them: as a training spec says it. */
export function sequenceBoxes(sequences: readonly Record<string, unknown>[], reads: string[]): Box[] {
  return sequences.map(({ name, attention, target }) => {
    const compared = Array.isArray(target) ? `compared with ${target.join(', ')}` : 'pooled'
    return { id: `sequence ${name}`, title: `Sequence ${name}`, note: `${attention}: ${compared}`, reads }
  })
}

export const taskColumn = (tasks: string[], source: (task: string) => string): Column => ({
  title: 'Tasks',
  boxes: tasks.map((task) => ({ id: taskId(task), title: task, note: 'probability', reads: [source(task)] })),
})

export function expertBoxes(options: object): Box[] {
  const kinds = [
    ['', Number((options as Options).num_experts ?? 0)],
    ['context', Number((options as Options).num_experts_context ?? 0)],
    ['candidate', Number((options as Options).num_experts_candidate ?? 0)],
  ] as const
  const note = layersNote(options, 'expert')
  let number = 0
  return kinds.flatMap(([side, many]) =>
    Array.from({ length: many }, () => {
      number++
      const reads = side === '' ? note : `${side} fields only`
      return { id: `e${number}`, title: `Expert ${number}`, note: reads, reads: ['embedding'] }
    }),
  )
}

export function gateBox(id: string, title: string, note: string, reads: string[]): Box {
  return { id, title, note, isGate: true, reads }
}

export const weighs = (experts: readonly Box[]) => `weighs ${experts.length} ${plural(experts.length, 'expert')}`

export const idsOf = (boxes: readonly Box[]) => boxes.map(({ id }) => id)

export const count = (many: unknown, what: string) => `${Number(many)} ${plural(Number(many), what)}`

/** Widths of a part's layers, such as "64 → 64". */
export function layersNote(options: object, part: string, task?: string): string {
  const given = (options as Options)[`dims_${part}`]
  const dims = Array.isArray(given) ? given : task === undefined ? undefined : (given as Options | undefined)?.[task]
  const ends = part === 'tasks' || part === 'head'
  const depth = Number((options as Options)[`num_hidden_${part}`] ?? 0)
  const width = Number((options as Options)[`dim_hidden_${part}`] ?? 0)
  const even = Array.from({ length: ends ? depth - 1 : depth }, () => width)
  const widths = [...(Array.isArray(dims) ? dims.map(Number) : even), ...(ends ? [1] : [])]
  const shown = widths.length > 4 ? [...widths.slice(0, 3), '…', widths.at(-1)] : widths
  return `${plural(widths.length, 'layer')} ${shown.join(' → ')}`
}

/** Such as "2 experts". */
function plural(count: number, what: string): string {
  return count === 1 ? what : `${what}s`
}

import { type Details, type Field, plural } from './words.ts'

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

/** Most boxes of a column: further ones are counted in one. */
const mostBoxes = 10

/** A model as columns of parts, each of which reads parts of columns before it, or above it. */
export function diagramOf(details: Details): Column[] {
  const options = (details.architecture ?? {}) as Options
  const fields = details.fields ?? []
  const tasks = (details.tasks ?? []).filter((task) => task.product === undefined).map(({ name }) => name)
  const middle = middles[String(options.name)]
  const groups = groupsOf(fields)
  const columns: Column[] =
    middle === undefined || tasks.length === 0
      ? generic(details, tasks)
      : [
          { title: 'Fields', boxes: groups },
          { title: 'Embeddings', boxes: embeddings(options, fields, groups, tasks) },
          ...middle(options, tasks),
        ]
  const derived = (details.tasks ?? []).flatMap(({ name, product }) =>
    product === undefined
      ? []
      : [{ id: `derived ${name}`, title: name, note: product.join(' × '), reads: product.map(taskId) }],
  )
  if (derived.length > 0) columns.push({ title: 'Derived tasks', boxes: derived })
  return shorten(columns)
}

const taskId = (task: string) => `task ${task}`
const towerId = (task: string) => `tower ${task}`

function groupsOf(fields: readonly Field[]): Box[] {
  const groups = new Map<string, Field[]>()
  for (const side of ['context', 'cross', 'candidate'])
    for (const field of fields)
      if (field.side === side) {
        const key = `${side}: ${field.kind}`
        groups.set(key, [...(groups.get(key) ?? []), field])
      }
  return [...groups].map(([key, members]) => ({
    id: `fields ${key}`,
    title: `${members.length} ${key.split(': ')[1]}`,
    note: `${key.split(': ')[0]}: ${members
      .slice(0, 4)
      .map(({ name }) => name)
      .join(', ')}${members.length > 4 ? ', …' : ''}`,
    reads: [],
  }))
}

function embeddings(options: Options, fields: readonly Field[], groups: readonly Box[], tasks: string[]): Box[] {
  const box = { title: `${fields.length} × ${Number(options.dim_emb)} numbers`, reads: idsOf(groups) }
  if (options.name !== 'single_task') return [{ ...box, id: 'embedding', note: 'a learnt vector for each field' }]
  return tasks.map((task) => ({ ...box, id: `embedding ${task}`, note: `vectors of ${task} alone` }))
}

/** The columns between the embeddings and the derived tasks, by architecture. */
const middles: Record<string, (options: Options, tasks: string[]) => Column[]> = {
  shared_bottom: (options, tasks) => [
    {
      title: 'Shared layers',
      boxes: [{ id: 'shared', title: 'Shared encoder', note: layersNote(options, 'shared'), reads: ['embedding'] }],
    },
    ...towers(options, tasks, () => 'shared'),
  ],
  mixture_of_experts: (options, tasks) => {
    const experts = expertBoxes(options)
    return [
      { title: 'Experts', boxes: experts },
      {
        title: 'Gate',
        boxes: [gateBox('gate', 'Gate of all tasks', weighs(experts), ['embedding', ...idsOf(experts)])],
      },
      ...towers(options, tasks, () => 'gate'),
    ]
  },
  multi_gate: (options, tasks) => {
    const experts = expertBoxes(options)
    return [
      { title: 'Experts', boxes: experts },
      {
        title: 'Gates',
        boxes: tasks.map((task) =>
          gateBox(`gate ${task}`, `Gate of ${task}`, weighs(experts), ['embedding', ...idsOf(experts)]),
        ),
      },
      ...towers(options, tasks, (task) => `gate ${task}`),
    ]
  },
  ple: (options, tasks) => {
    const levels = Number(options.num_levels)
    const columns: Column[] = []
    let own = tasks.map(() => 'embedding')
    let shared = 'embedding'
    for (let level = 1; level <= levels; level++) {
      const at = (part: string) => `${part} ${level}`
      const groups: Box[] = tasks.map((task, t) => ({
        id: at(`experts of ${task}`),
        title: `${count(options.num_experts_task, 'expert')} of ${task}`,
        reads: [own[t]!],
      }))
      const common: Box = {
        id: at('shared experts'),
        title: `${count(options.num_experts_shared, 'shared expert')}`,
        note: layersNote(options, 'expert'),
        reads: [shared],
      }
      const name = levels === 1 ? '' : ` ${level}`
      columns.push({ title: `Experts${name}`, boxes: [...groups, common] })
      const gates = tasks.map((task, t) =>
        gateBox(at(`gate ${task}`), `Gate of ${task}`, 'weighs its experts', [own[t]!, groups[t]!.id, common.id]),
      )
      const all = [shared, ...idsOf(groups), common.id]
      if (level < levels) gates.push(gateBox(at('shared gate'), 'Shared gate', 'weighs all experts', all))
      columns.push({ title: `Gates${name}`, boxes: gates })
      own = tasks.map((task) => at(`gate ${task}`))
      shared = at('shared gate')
    }
    return [...columns, ...towers(options, tasks, (task) => `gate ${task} ${levels}`)]
  },
  aitm: (options, tasks) => {
    const known = (t: number) => (t === 0 ? towerId(tasks[0]!) : `attention ${tasks[t]}`)
    const title = (part: string, task: string) => `${part} of ${task}`
    return [
      {
        title: 'Towers',
        boxes: tasks.map((task) => ({
          id: towerId(task),
          title: title('Tower', task),
          note: layersNote(options, 'tower'),
          reads: ['embedding'],
        })),
      },
      {
        title: 'Attention',
        boxes: tasks.slice(1).map((task, i) => ({
          id: known(i + 1),
          title: `${tasks[i]} → ${task}`,
          note: 'takes over what helps',
          reads: [known(i), towerId(task)],
        })),
      },
      {
        title: 'Heads',
        boxes: tasks.map((task, t) => ({
          id: `head ${task}`,
          title: title('Head', task),
          note: layersNote(options, 'head'),
          reads: [known(t)],
        })),
      },
      taskColumn(tasks, (task) => `head ${task}`),
    ]
  },
  esmm: (options, tasks) => towers(options, tasks, () => 'embedding'),
  single_task: (options, tasks) => towers(options, tasks, (task) => `embedding ${task}`),
}

function towers(options: Options, tasks: string[], source: (task: string) => string): Column[] {
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

const taskColumn = (tasks: string[], source: (task: string) => string): Column => ({
  title: 'Tasks',
  boxes: tasks.map((task) => ({ id: taskId(task), title: task, note: 'probability', reads: [source(task)] })),
})

function expertBoxes(options: Options): Box[] {
  const kinds = [
    ['', Number(options.num_experts ?? 0)],
    ['context', Number(options.num_experts_context ?? 0)],
    ['candidate', Number(options.num_experts_candidate ?? 0)],
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

function gateBox(id: string, title: string, note: string, reads: string[]): Box {
  return { id, title, note, isGate: true, reads }
}

const weighs = (experts: readonly Box[]) => `weighs ${experts.length} ${plural(experts.length, 'expert')}`

const idsOf = (boxes: readonly Box[]) => boxes.map(({ id }) => id)

const count = (many: unknown, what: string) => `${Number(many)} ${plural(Number(many), what)}`

/** Widths of a part's layers, such as "64 → 64". */
function layersNote(options: Options, part: string, task?: string): string {
  const given = options[`dims_${part}`]
  const dims = Array.isArray(given) ? given : task === undefined ? undefined : (given as Options | undefined)?.[task]
  const ends = part === 'tasks' || part === 'head'
  const depth = Number(options[`num_hidden_${part}`] ?? 0)
  const width = Number(options[`dim_hidden_${part}`] ?? 0)
  const even = Array.from({ length: ends ? depth - 1 : depth }, () => width)
  const widths = [...(Array.isArray(dims) ? dims.map(Number) : even), ...(ends ? [1] : [])]
  const shown = widths.length > 4 ? [...widths.slice(0, 3), '…', widths.at(-1)] : widths
  return `${plural(widths.length, 'layer')} ${shown.join(' → ')}`
}

/** Inputs, a graph that is not looked into, and its outputs. */
function generic({ inputs = [], plan, fields = [] }: Details, tasks: string[]): Column[] {
  const groups = groupsOf(fields)
  const tensors = inputs.map(({ name, dtype, shape }) => ({
    id: `input ${name}`,
    title: name,
    note: `${dtype} [rows${shape.map((size) => `, ${size}`).join('')}]`,
    reads: groups.map(({ id }) => id),
  }))
  return [
    ...(groups.length > 0 ? [{ title: 'Fields', boxes: groups }] : []),
    { title: 'Inputs', boxes: tensors },
    {
      title: 'Graph',
      boxes: [
        {
          id: 'graph',
          title: plan?.graph ?? 'graph',
          note: `run by ${plan?.engine}`,
          reads: tensors.map(({ id }) => id),
        },
      ],
    },
    { title: 'Outputs', boxes: tasks.map((task) => ({ id: taskId(task), title: task, reads: ['graph'] })) },
  ]
}

/** Counts the last boxes of long columns, in one box that has their links. */
function shorten(columns: readonly Column[]): Column[] {
  const counted = new Map<string, string>()
  const short = columns.map(({ title, boxes }): Column => {
    if (boxes.length <= mostBoxes) return { title, boxes }
    const rest = boxes.slice(mostBoxes - 1)
    const id = `more ${title}`
    for (const one of rest) counted.set(one.id, id)
    const more: Box = { id, title: `and ${rest.length} more`, reads: rest.flatMap(({ reads }) => reads) }
    return { title, boxes: [...boxes.slice(0, mostBoxes - 1), more] }
  })
  const linked = (reads: readonly string[]) => [...new Set(reads.map((id) => counted.get(id) ?? id))]
  return short.map(({ title, boxes }) => ({
    title,
    boxes: boxes.map((one) => ({ ...one, reads: linked(one.reads) })),
  }))
}

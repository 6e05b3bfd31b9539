/* The tables of an experiment, from the figures of its runs. */

/** 97.5 % quantiles of Student's t, by degrees of freedom from 1. */
const quantiles = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045,
]

export const mostSeeds = quantiles.length + 1

/** The mean with its 95 % t-interval; of one value, no interval. */
export function tInterval(values) {
  const mean = meanOf(values)
  if (values.length < 2) return { mean, low: undefined, high: undefined }
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)
  const half = quantiles[values.length - 2] * Math.sqrt(variance / values.length)
  return { mean, low: mean - half, high: mean + half }
}

const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length

/** A metric of one run; undefined where the run has no such task. */
export function metricOf({ tasks }, { mean }) {
  const values = mean.map((name) => {
    const [task, metric] = name.split('.')
    return tasks[task]?.[metric].value
  })
  return values.some((value) => value === undefined) ? undefined : meanOf(values)
}

/**
 * Two tables and what they rest on: means over seeds, and differences from one variant, paired by seed. A run without a
 * seed is the same for each.
 */
export function renderTables(name, experiment, { runs, machine }) {
  const { parts, variants, metrics, published, reference: first = 'multi_gate' } = experiment
  const { title = 'architecture', partTitle = 'part', others = [] } = experiment
  const rows = Object.keys(parts).flatMap((part) =>
    [...Object.keys(variants), ...others].flatMap((variant) => {
      const own = runs.filter((run) => run.part === part && run.variant === variant)
      return own.length === 0 ? [] : [{ part, variant, runs: own.sort((a, b) => a.seed - b.seed) }]
    }),
  )
  const several = Object.keys(parts).length > 1
  const single = Object.keys(variants).length === 1
  const head = [...(several ? [partTitle] : []), ...(single ? [] : [title])]
  const names = ({ part, variant }) => [...(several ? [part] : []), ...(single ? [] : [`\`${variant}\``])]
  const means = rows.map((row) => [
    ...names(row),
    row.runs[0].weights?.toLocaleString('en') ?? '–',
    row.runs[0].seed === undefined ? '–' : String(row.runs.length),
    ...metrics.map((metric) => interval(valuesOf(row.runs, metric), metric)),
    ...(published ? [publishedOf(published[row.variant])] : []),
  ])
  const shown = metrics.filter(({ alone }) => !alone)
  const differences = rows.flatMap((row) => {
    const reference = rows.find(({ part, variant }) => part === row.part && variant === first)
    if (row.variant === first || reference === undefined) return []
    return [[...names(row), ...shown.map((metric) => interval(paired(row.runs, reference.runs, metric), metric, true))]]
  })
  const tested = Object.keys(parts).flatMap((part) => {
    const own = rows.filter((row) => row.part === part).flatMap((row) => row.runs)
    return own.length === 0 ? [] : [rowsLine(part, own, metrics)]
  })
  const titles = metrics.map(({ title }) => title)
  const columns = [...head, 'weights', 'seeds', ...titles, ...(published ? [published.title] : [])]
  const compared = [
    `Differences from \`${first}\`, paired by seed:`,
    table([...head, ...shown.map(({ title }) => title)], differences, head.length),
  ]
  const blocks = [
    table(columns, means, head.length),
    ...(differences.length === 0 ? [] : compared),
    [`- \`npm run results -- ${name}\`: ${machineOf(machine)}, one thread`, ...tested].join('\n'),
  ]
  return `\n${blocks.join('\n\n')}\n\n`
}

const machineOf = ({ processor, node, multigate }) => `multigate ${multigate}, Node.js ${node}, ${processor}`

const valuesOf = (runs, metric) => runs.map((run) => metricOf(run, metric)).filter((value) => value !== undefined)

function paired(runs, reference, metric) {
  const isPair = (a, b) => a.seed === b.seed || a.seed === undefined || b.seed === undefined
  return runs.flatMap((run) =>
    reference
      .filter((other) => isPair(run, other))
      .map((other) => metricOf(run, metric) - metricOf(other, metric))
      .filter((difference) => !Number.isNaN(difference)),
  )
}

/**
 * How much the test rows leave open, which seeds do not show: half of a run's own interval of each AUC, as a mean over
 * the runs.
 */
function rowsLine(part, runs, metrics) {
  const halves = metrics.flatMap(({ title, rows, mean: [name] }) => {
    const [task, metric] = name.split('.')
    const own = runs.flatMap(({ tasks }) => (rows && tasks[task]?.[metric].high ? [tasks[task][metric]] : []))
    if (own.length === 0) return []
    return [`${title} ± ${number(meanOf(own.map(({ low, high }) => (high - low) / 2)), 4)}`]
  })
  const count = Math.max(...runs.flatMap(({ tasks }) => Object.values(tasks).map(({ rows }) => rows)))
  const rows = `- ${part}: ${count.toLocaleString('en')} test rows`
  return halves.length === 0 ? rows : `${rows}, which leave open: ${halves.join(', ')}`
}

/** `.9443 (.9438 … .9448)`, within what the metric can be; with signs for differences. */
function interval(values, { digits = 4, most = Number.POSITIVE_INFINITY, signed: hasSign }, signed = hasSign) {
  if (values.length === 0) return '–'
  const { mean, low, high } = tInterval(values)
  const text = (value) => number(value, digits, signed)
  if (low === undefined) return text(mean)
  const [from, to] = signed ? [low, high] : [Math.max(low, 0), Math.min(high, most)]
  return `${text(mean)} (${text(from)} … ${text(to)})`
}

function number(value, digits, signed = false) {
  const text = Math.abs(value).toFixed(digits)
  const zero = Number(text) === 0
  const sign = value < 0 && !zero ? '−' : signed && !zero ? '+' : ''
  return `${sign}${text.replace(/^0\./, '.')}`
}

const publishedOf = (values) => (values ? values.map((value) => number(value, 4)).join(' / ') : '–')

function table(columns, rows, left) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(columns), line(columns.map((_, i) => (i < left ? '---' : '--:'))), ...rows.map(line)].join('\n')
}

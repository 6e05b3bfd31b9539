import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { metricOf, tInterval } from './tables.mjs'

/**
 * Draws the first metric of each variant over the parts, whose names end in a number, with 95 % intervals over seeds.
 */
export async function drawChart({ metrics: [metric], variants, chart }, { runs }, folder) {
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')])
  const values = Object.keys(variants).flatMap((variant, index) => {
    const own = runs.filter((run) => run.variant === variant)
    return [...new Set(own.map(({ part }) => part))].map((part) => ({
      variant,
      // Beside each other, so that no interval hides another.
      x: Number(part.split(' ').at(-1)) + 0.012 * index,
      ...tInterval(own.filter((run) => run.part === part).map((run) => metricOf(run, metric))),
    }))
  })
  const x = { field: 'x', type: 'quantitative', title: chart.x, axis: { tickCount: 5 } }
  const y = { field: 'mean', type: 'quantitative', title: metric.title, scale: { zero: false } }
  const color = { field: 'variant', type: 'nominal', title: null, legend: { orient: 'top' }, sort: null }
  const spec = {
    ...{ width: 420, height: 260, background: 'white', data: { values } },
    encoding: { x, color },
    layer: [
      { mark: { type: 'line', point: true }, encoding: { y } },
      {
        mark: 'rule',
        encoding: { y: { field: 'low', type: 'quantitative', title: metric.title }, y2: { field: 'high' } },
      },
    ],
  }
  const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' })
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, chart.file), `${await view.toSVG()}\n`)
}

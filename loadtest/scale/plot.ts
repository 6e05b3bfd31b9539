import { Error as errors, logger, parse, View } from 'vega'
import { compile } from 'vega-lite'
import type { Axis } from './axes.ts'
import type { Sample } from './measure.ts'

export interface Curve {
  axis: Axis
  samples: readonly { value: number; sample: Sample }[]
}

/** What a curve shows. */
const shown: Record<string, { title: string; of(sample: Sample): number; log?: boolean }[]> = {
  rows: [{ title: 'CPU per request, µs', of: ({ cpuMicros }) => cpuMicros }],
  fields: [{ title: 'CPU per request, µs', of: ({ cpuMicros }) => cpuMicros }],
  experts: [{ title: 'CPU per request, µs', of: ({ cpuMicros }) => cpuMicros }],
  ids: [
    { title: 'CPU per request, µs', of: ({ cpuMicros }) => cpuMicros },
    { title: 'resident, MiB', of: ({ residentMiB }) => residentMiB },
  ],
  models: [
    { title: 'ready after, s', of: ({ readySeconds }) => readySeconds },
    { title: 'resident, MiB', of: ({ residentMiB }) => residentMiB },
  ],
  connections: [{ title: 'CPU per request, µs', of: ({ cpuMicros }) => cpuMicros }],
  popularity: [
    { title: 'CPU per request, µs', of: ({ cpuMicros }) => cpuMicros },
    { title: 'share of candidates in the cache', of: ({ hitRate }) => hitRate ?? 0, log: false },
  ],
}

/** All curves as one SVG. Logarithmic axes: a curve as steep as the dashed line grows in proportion. */
export async function drawCurves(curves: readonly Curve[]): Promise<string> {
  const charts = curves.flatMap(({ axis, samples }) =>
    (shown[axis.name] ?? []).map(({ title, of, log = true }) => {
      const points = samples.map(({ value, sample }) => ({ x: value, y: of(sample) }))
      const logX = axis.name !== 'popularity'
      const last = points.at(-1)!
      const scale = (isLog: boolean) => ({ type: isLog ? 'log' : 'linear', zero: false })
      const x = {
        field: 'x',
        type: 'quantitative',
        title: axis.title,
        scale: scale(logX),
        axis: { format: '~s', tickCount: 5 },
      }
      const y = { field: 'y', type: 'quantitative', title, scale: scale(log), axis: { format: '~s', tickCount: 4 } }
      const proportional = [
        { x: last.x, y: last.y },
        { x: points[0]!.x, y: (last.y * points[0]!.x) / last.x },
      ].map(({ x, y }) => ({ x, y: Math.max(y, Math.min(...points.map((point) => point.y))) }))
      return {
        width: 260,
        height: 150,
        layer: [
          ...(log && logX
            ? [
                {
                  data: { values: proportional },
                  mark: { type: 'line', strokeDash: [4, 4], color: '#999' },
                  encoding: { x, y },
                },
              ]
            : []),
          { data: { values: points }, mark: { type: 'line', point: true, color: '#2f6db5' }, encoding: { x, y } },
        ],
      }
    }),
  )
  const spec = { background: 'white', padding: 12, columns: 2, spacing: 30, concat: charts }
  const log = logger(errors)
  const view = new View(parse(compile(spec as never, { logger: log }).spec), { renderer: 'none', logger: log })
  const svg = await view.toSVG()
  view.finalize()
  return svg
}

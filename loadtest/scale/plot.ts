import { drawSvg } from '../draw.ts'
import type { Axis } from './axes.ts'
import type { Sample } from './measure.ts'

export interface Curve {
  axis: Axis
  samples: readonly { value: number; sample: Sample }[]
}

interface Figure {
  title: string
  of(sample: Sample): number
  log?: boolean
}

const cpu: Figure = { title: 'CPU per request, µs', of: ({ cpuMicros }) => cpuMicros }
const resident: Figure = { title: 'resident, MiB', of: ({ residentMiB }) => residentMiB }

/** The figures that the curves of an axis show, where they are not the CPU alone. */
const shown: Record<string, Figure[]> = {
  ids: [cpu, resident],
  models: [{ title: 'ready after, s', of: ({ readySeconds }) => readySeconds }, resident],
  popularity: [cpu, { title: 'found in the cache', of: ({ hitRate }) => hitRate ?? 0, log: false }],
}

/** All curves as one SVG. Logarithmic axes: a curve as steep as the dashed line grows in proportion. */
export function drawCurves(curves: readonly Curve[]): Promise<string> {
  const charts = curves.flatMap(({ axis, samples }) =>
    (shown[axis.name] ?? [cpu]).map(({ title, of, log = true }) => {
      const points = samples.map(({ value, sample }) => ({ x: value, y: of(sample) }))
      const logX = axis.name !== 'popularity'
      const last = points.at(-1)!
      const scale = (isLog: boolean) => ({ type: isLog ? 'log' : 'linear', zero: false, nice: !logX })
      const axisOf = (title: string, isLog: boolean, format = '~s') => ({
        title,
        scale: scale(isLog),
        axis: { format, tickCount: 4 },
      })
      const x = { field: 'x', type: 'quantitative', ...axisOf(axis.title, logX, logX ? '~s' : '.1f') }
      const y = { field: 'y', type: 'quantitative', ...axisOf(title, log, log ? '~s' : '.0%') }
      // Through the last point, as far as the curve goes down.
      const least = Math.min(...points.map((point) => point.y))
      const from = Math.max(points[0]!.x, (last.x * least) / last.y)
      const proportional = [
        { x: from, y: (last.y * from) / last.x },
        { x: last.x, y: last.y },
      ]
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
  return drawSvg({ columns: 2, spacing: 24, concat: charts })
}

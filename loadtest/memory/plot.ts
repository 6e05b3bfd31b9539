import { drawSvg } from '../draw.ts'

export interface MemoryPoint {
  /** Seconds from the start. */
  at: number
  /** Memory in use by the container, MiB. */
  mib: number
  /** The behaviour of hostile clients. */
  stage: string
}

/** Memory of each container over time as one SVG: a colour per behaviour, the limit dashed. */
export function drawMemory(runs: readonly { mib: number; points: readonly MemoryPoint[] }[]): Promise<string> {
  const stages = [...new Set(runs.flatMap(({ points }) => points.map(({ stage }) => stage)))]
  const charts = runs.map(({ mib, points }) => ({
    title: { text: `a container of ${mib} MiB`, anchor: 'start', fontSize: 12 },
    width: 620,
    height: 150,
    layer: [
      {
        data: { values: points },
        mark: { type: 'area', opacity: 0.7 },
        encoding: {
          x: { field: 'at', type: 'quantitative', title: 'seconds' },
          y: {
            field: 'mib',
            type: 'quantitative',
            title: 'in use, MiB',
            stack: null,
            scale: { domain: [0, mib * 1.05] },
          },
          color: { field: 'stage', type: 'nominal', title: 'not read', sort: stages, scale: { scheme: 'tableau20' } },
        },
      },
      {
        data: { values: [{ mib }] },
        mark: { type: 'rule', strokeDash: [4, 4] },
        encoding: { y: { field: 'mib', type: 'quantitative' } },
      },
    ],
  }))
  return drawSvg({ vconcat: charts, config: { legend: { symbolLimit: 40, labelLimit: 300 } } })
}

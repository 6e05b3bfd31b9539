import { Error as errors, logger, parse, View } from 'vega'
import { compile } from 'vega-lite'

/** A specification of Vega-Lite as SVG. */
export async function drawSvg(spec: object): Promise<string> {
  const log = logger(errors)
  const view = new View(parse(compile({ background: 'white', padding: 12, ...spec } as never, { logger: log }).spec), {
    renderer: 'none',
    logger: log,
  })
  const svg = await view.toSVG()
  view.finalize()
  return svg
}

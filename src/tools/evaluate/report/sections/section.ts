import type { EvaluationReport } from '../../../../schemas/evaluation.ts'
import type { Content } from '../base/html.ts'
import type { Draw } from '../charts/draw.ts'

export interface Section {
  /** The id of its heading; the table of contents refers to it. */
  id: string
  title: string
  body: Content
}

/** Makes a section, or nothing where the report has nothing for it. */
export type SectionOf = (report: EvaluationReport, draw: Draw) => Section | undefined | Promise<Section | undefined>

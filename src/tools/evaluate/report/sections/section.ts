import type { EvaluationReport } from '../../../../schemas/evaluation.ts'
import type { Section } from '../base/page.ts'
import type { Draw } from '../charts/draw.ts'

/** Makes a section, or nothing where the report has nothing for it. */
export type SectionOf = (report: EvaluationReport, draw: Draw) => Section | undefined | Promise<Section | undefined>

import type { EvaluationReport } from '../../../schemas/evaluation.ts'

/** The metrics that a report has, each in a sentence or two. */
export function glossary(report: EvaluationReport): [term: string, meaning: string][] {
  const meanings: [string, string, boolean?][] = [
    [
      'AUC',
      'The chance that a random positive row is predicted higher than a random negative row: 1 is perfect order, .5 none. It says nothing about the size of the predictions.',
    ],
    [
      'Log-loss',
      'Mean surprise at the outcomes, in nats. Lower is better; it judges order and size together, but depends on the base rate.',
    ],
    [
      'NE',
      'Normalised entropy: log-loss divided by that of the best constant. Below 1 the model knows more than the base rate; tasks of different base rates can be compared.',
    ],
    [
      'Calibration ratio',
      'Mean prediction divided by the observed rate. 1.02 means that the model predicts 2 % too high overall.',
    ],
    [
      'ECE',
      'Expected calibration error: the mean distance between prediction and observed rate over ten bins of equal weight, minus what chance alone would add.',
    ],
    [
      'GAUC',
      'Mean AUC within groups, such as the candidates of one request.',
      report.tasks.some(({ gauc }) => gauc !== undefined),
    ],
    [
      'Oracle',
      'The true probability, which only synthetic data knows: no model can do better.',
      report.tasks.some(({ oracle }) => oracle !== undefined),
    ],
    [
      'PSI',
      'Population stability index: the sum over bins of (now − then) · ln(now ÷ then).',
      (report.drift ?? []).length > 0,
    ],
    [
      'Rank correlation',
      'Spearman’s: 1 where both versions order the rows of a group alike, 0 where their orders are unrelated.',
      report.comparison?.tasks.some(({ ranking }) => ranking !== undefined) ?? false,
    ],
    [
      '95 % interval',
      'If the evaluation were repeated on new rows of the same kind, 95 of 100 such intervals would contain the true value.',
    ],
  ]
  return meanings.filter(([, , applies = true]) => applies).map(([term, meaning]) => [term, meaning])
}

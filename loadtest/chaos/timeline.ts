import type { ChaosRun } from './run.ts'
export function drawTimeline(run: ChaosRun): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" data-n="${run.calls.length}"/>`
}

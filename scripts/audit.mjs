// Looks for known vulnerabilities of the packages that an installation of multigate contains: `npm audit`, from `high`
// up.
//   node scripts/audit.mjs [--strict]
// A registry without advisories (many mirrors are) cannot be asked. That is reported, and passes: it says nothing about
// the packages. With --strict, as in the scheduled workflow, it fails.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
// Development packages are not installed with multigate; Dependabot follows them.
const args = ['audit', '--audit=true', '--omit=dev', '--audit-level=high']
const options = { cwd: join(import.meta.dirname, '..'), encoding: 'utf8', shell: process.platform === 'win32' }
const report = spawnSync(npm, [...args, '--json'], { ...options, timeout: 120_000 })

const answer = parse(report.stdout)
const counts = answer?.metadata?.vulnerabilities
if (counts === undefined) {
  const reason = answer?.message ?? answer?.error?.summary ?? report.error?.message ?? 'npm audit gave no report'
  console.log(
    `audit: NOT CHECKED, the registry does not answer (${String(reason)
      .split('\n')[0]
      .replace(/https?:\S+/g, '…')})`,
  )
  process.exitCode = process.argv.includes('--strict') ? 1 : 0
} else if (report.status !== 0) {
  const { stdout } = spawnSync(npm, args, options)
  process.stdout.write(stdout)
  console.log(`audit: ${counts.high} high, ${counts.critical} critical`)
  process.exitCode = 1
} else {
  console.log(`audit: no vulnerability of high or critical severity (${counts.total} lower)`)
}

function parse(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Headers of the files of a page: its scripts and connections are those of this server alone, and no other page may
 * frame it. `styles`, `base`: the sources of its styles, and of its base address; `more`: further directives.
 */
export function pageHeaders(styles: string, base: string, ...more: string[]): Record<string, string> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    `style-src ${styles}`,
    "img-src 'self' data:",
    "connect-src 'self'",
    `base-uri ${base}`,
    "form-action 'none'",
    "frame-ancestors 'none'",
    ...more,
  ]
  return {
    'content-security-policy': policy.join('; '),
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  }
}

/** A check: what it looked at, and the problem if there is one. */
export interface Finding {
  name: string
  detail: string
  problem?: string
}

import type { Admission } from '../../../src/server/overload/admission.ts'

export interface FakeAdmission extends Admission {
  /** Deadlines of those who asked, ms. */
  readonly asked: number[]
  /** Who entered and has not left. */
  readonly inside: number
  /** Engine seconds of what was read; undefined of what was refused then. */
  readonly reads: (number | undefined)[]
  /** Whom to refuse. */
  refuses: (deadlineMs: number) => boolean
}

/** Admits whom the test says. */
export function createFakeAdmission(now: () => number): FakeAdmission {
  let inside = 0
  return {
    asked: [],
    reads: [],
    refuses: () => false,
    get inside() {
      return inside
    },
    enter(deadlineMs) {
      this.asked.push(deadlineMs)
      if (this.refuses(deadlineMs)) return { admitted: false, message: 'too much is under way', retryAfterSeconds: 2.5 }
      inside++
      let left = false
      return {
        admitted: true,
        earliestArrival: now(),
        wasRead: (seconds) => this.reads.push(seconds),
        leave() {
          if (!left) inside--
          left = true
        },
      }
    },
  }
}

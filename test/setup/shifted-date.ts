/** Moves the clock of this process: every read of the time sees the jump, and timers are not affected. */

/** @returns a function that moves the clock by seconds: ahead of the real clock, or negative for behind it */
export function shiftDate(): (seconds: number) => void {
  const RealDate = Date
  let ahead = 0

  class ShiftedDate extends RealDate {
    constructor(...given: ConstructorParameters<typeof RealDate> | []) {
      if (given.length === 0) super(RealDate.now() + ahead)
      else super(...given)
    }
    static override now(): number {
      return RealDate.now() + ahead
    }
    // A date that Node itself creates is an instance too.
    static override [Symbol.hasInstance](value: unknown): boolean {
      return RealDate.prototype.isPrototypeOf.call(RealDate.prototype, value as object)
    }
  }

  globalThis.Date = ShiftedDate as DateConstructor
  return (seconds) => void (ahead = seconds * 1000)
}

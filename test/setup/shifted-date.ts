/** The clock of this process, to be moved: everything that asks for the time sees it jump, and timers run on as they do. */

/** @returns moves the clock; seconds ahead of the real one, or behind it */
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
    // What Node itself makes is a date too.
    static override [Symbol.hasInstance](value: unknown): boolean {
      return RealDate.prototype.isPrototypeOf.call(RealDate.prototype, value as object)
    }
  }

  globalThis.Date = ShiftedDate as DateConstructor
  return (seconds) => void (ahead = seconds * 1000)
}

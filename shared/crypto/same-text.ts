/** Compares texts that a caller could guess one character at a time. */
import { timingSafeEqual } from 'node:crypto'

/** The time depends on the lengths alone. */
export function isSameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

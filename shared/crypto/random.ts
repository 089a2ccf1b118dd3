/**
 * Random values for states, nonces, secrets and initialization vectors, from the generator of the operating system.
 * They are drawn 4 KB at a time, as `randomUUID` does: one call of the generator costs as much as 4 KB of its output,
 * and a sign-in needs nine values.
 */
import { randomFillSync } from 'node:crypto'

const block = Buffer.alloc(4096)
let used = block.length

/**
 * @param bytes at most 4,096
 * @returns a copy; the block no longer contains it
 */
export function randomValue(bytes: number): Buffer {
  if (bytes > block.length) throw new RangeError('A random value is longer than a block.')
  if (used + bytes > block.length) {
    randomFillSync(block)
    used = 0
  }
  const value = Buffer.from(block.subarray(used, used + bytes))
  block.fill(0, used, used + bytes)
  used += bytes
  return value
}

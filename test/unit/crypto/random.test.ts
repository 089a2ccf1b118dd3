import { describe, expect, it } from 'vitest'
import { randomValue } from '../../../shared/crypto/random.ts'

describe('a random value', () => {
  it('has its length, and differs from every other, in one block and across blocks', () => {
    const values = Array.from({ length: 2000 }, (_, index) => randomValue(12 + (index % 3) * 10))

    expect(values.map(({ length }) => length)).toEqual(values.map((_, index) => 12 + (index % 3) * 10))
    // 12 bytes each, since a part that two values share would be a reused initialization vector.
    const parts = values.map((value) => value.subarray(0, 12).toString('hex'))
    expect(new Set(parts).size).toBe(values.length)
    expect(values.every((value) => value.some((byte) => byte !== 0))).toBe(true)
  })

  it('stays as it is when later values are drawn', () => {
    const value = randomValue(32)
    const before = value.toString('hex')
    for (let drawn = 0; drawn < 500; drawn++) randomValue(32)

    expect(value.toString('hex')).toBe(before)
  })

  it('has every bit set in about half of the values', () => {
    const counts = new Array<number>(256).fill(0)
    for (let drawn = 0; drawn < 4000; drawn++) {
      randomValue(32).forEach((byte, at) => {
        for (let bit = 0; bit < 8; bit++) counts[at * 8 + bit]! += (byte >> bit) & 1
      })
    }

    // Six standard deviations of 4,000 draws are 190.
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(200)
  })

  it('may be as long as a block, and no longer', () => {
    expect(randomValue(4096)).toHaveLength(4096)
    expect(() => randomValue(4097)).toThrow(RangeError)
  })
})

import { describe, expect, it } from 'vitest'
import { withBackOff } from '../../../shared/async/back-off.ts'

function part() {
  const state = { now: 1_000_000, isDown: true, calls: 0 }
  const ask = withBackOff(
    () => {
      state.calls += 1
      return state.isDown ? Promise.reject(new Error(`failure ${state.calls}`)) : Promise.resolve('here')
    },
    () => state.now,
  )
  return { state, ask }
}

describe('a part that is down', () => {
  it('is called five times at once; then no call is made, and every caller receives the reason', async () => {
    const { state, ask } = part()

    for (let i = 1; i <= 5; i++) await expect(ask()).rejects.toThrow(`failure ${i}`)
    for (let i = 0; i < 20; i++) await expect(ask()).rejects.toThrow('failure 5')

    expect(state.calls).toBe(5)
  })

  it('is called again after a second, then two, and never later than after five', async () => {
    const { state, ask } = part()
    for (let i = 0; i < 5; i++) await ask().catch(() => undefined)

    for (const seconds of [1, 2, 4, 5, 5]) {
      const { calls } = state
      state.now += seconds * 1000 - 1
      await ask().catch(() => undefined)
      expect(state.calls).toBe(calls)
      state.now += 1
      await ask().catch(() => undefined)
      expect(state.calls).toBe(calls + 1)
    }
  })

  it('that works again clears the pause, and the next failures cause no pause at first', async () => {
    const { state, ask } = part()
    for (let i = 0; i < 5; i++) await ask().catch(() => undefined)
    state.now += 1000
    state.isDown = false
    expect(await ask()).toBe('here')

    state.isDown = true
    for (let i = 0; i < 5; i++) await ask().catch(() => undefined)
    expect(state.calls).toBe(11)
  })

  it('is called again after a clock that jumped back', async () => {
    const { state, ask } = part()
    for (let i = 0; i < 5; i++) await ask().catch(() => undefined)

    state.now -= 3_600_000
    state.isDown = false

    expect(await ask()).toBe('here')
  })
})

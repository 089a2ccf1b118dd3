import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { warmUpAfterStart } from '../../../functions/warm-up.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function start() {
  const hooks = new Set<() => void>()
  const warmUp = vi.fn(() => Promise.resolve())
  warmUpAfterStart(
    {
      preInvocation: (hook) => {
        hooks.add(hook)
        return { dispose: () => void hooks.delete(hook) }
      },
    },
    warmUp,
  )
  return { warmUp, hooks, invoke: () => [...hooks].forEach((hook) => hook()) }
}

describe('the warm-up of an instance', () => {
  it('does not run while the host still registers functions', async () => {
    const { warmUp } = start()

    await vi.advanceTimersByTimeAsync(150)
    expect(warmUp).not.toHaveBeenCalled()
  })

  it('runs behind the first invocation, once', async () => {
    const { warmUp, invoke, hooks } = start()

    invoke()
    expect(warmUp).not.toHaveBeenCalled()
    await vi.advanceTimersByTimeAsync(0)
    expect(warmUp).toHaveBeenCalledTimes(1)

    invoke()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(warmUp).toHaveBeenCalledTimes(1)
    expect(hooks.size).toBe(0)
  })

  it('runs after a pause where no request comes, once', async () => {
    const { warmUp, invoke } = start()

    await vi.advanceTimersByTimeAsync(1_000)
    invoke()
    await vi.advanceTimersByTimeAsync(1_000)

    expect(warmUp).toHaveBeenCalledTimes(1)
  })
})

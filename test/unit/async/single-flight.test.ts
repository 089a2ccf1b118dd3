import { describe, expect, it } from 'vitest'
import { wait } from '../../../shared/async/deadline.ts'
import { singleFlight } from '../../../shared/async/single-flight.ts'

describe('a single flight', () => {
  it('does the work once for all callers at the same time, and again for the next one', async () => {
    let done = 0
    const get = singleFlight(async () => {
      await wait(5)
      return ++done
    })

    expect(await Promise.all([get(), get(), get()])).toEqual([1, 1, 1])
    expect(await get()).toBe(2)
  })

  it('keeps different work apart', async () => {
    const requested: string[] = []
    const get = singleFlight(
      async ({ name }: { name: string }) => {
        requested.push(name)
        await wait(5)
        return name
      },
      ({ name }) => name,
    )

    expect(await Promise.all([get({ name: 'a' }), get({ name: 'b' }), get({ name: 'a' })])).toEqual(['a', 'b', 'a'])
    expect(requested).toEqual(['a', 'b'])
  })

  it('returns a failure to every waiting caller, and does not keep it', async () => {
    let attempts = 0
    const get = singleFlight(async () => {
      await wait(5)
      if (++attempts === 1) throw new Error('down')
      return 'up'
    })

    const outcomes = await Promise.allSettled([get(), get()])

    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await expect(get()).resolves.toBe('up')
  })
})

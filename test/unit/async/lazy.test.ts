import { describe, expect, it } from 'vitest'
import { once } from '../../../shared/async/lazy.ts'

describe('what is built once', () => {
  it('is the same for all, also for those who ask while it is built', async () => {
    let built = 0
    const get = once(() => Promise.resolve({ built: ++built }))

    const [first, second] = await Promise.all([get(), get()])

    expect(first).toBe(second)
    expect(await get()).toBe(first)
    expect(built).toBe(1)
  })

  it('is tried again after a failure, which all who waited are told', async () => {
    let tries = 0
    const get = once(() => (++tries === 1 ? Promise.reject(new Error('not yet')) : Promise.resolve('built')))

    const waited = await Promise.allSettled([get(), get()])

    expect(waited.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await get()).toBe('built')
    expect(tries).toBe(2)
  })
})

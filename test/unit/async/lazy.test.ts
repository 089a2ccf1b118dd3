import { describe, expect, it } from 'vitest'
import { lazy, lazyObject } from '../../../shared/async/lazy.ts'

describe('lazy', () => {
  it('builds once, also for callers that wait while it is built', async () => {
    let built = 0
    const get = lazy(() => Promise.resolve({ built: ++built }))

    const [first, second] = await Promise.all([get(), get()])

    expect(first).toBe(second)
    expect(await get()).toBe(first)
    expect(built).toBe(1)
  })

  it('builds again after a failure that every waiting caller received', async () => {
    let tries = 0
    const get = lazy(() => (++tries === 1 ? Promise.reject(new Error('not yet')) : Promise.resolve('built')))

    const waited = await Promise.allSettled([get(), get()])

    expect(waited.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(await get()).toBe('built')
    expect(tries).toBe(2)
  })
})

describe('lazyObject', () => {
  class Counter {
    #count = 0
    add(by: number, times: number): Promise<number> {
      this.#count += by * times
      return Promise.resolve(this.#count)
    }
    fail(): Promise<never> {
      return Promise.reject(new Error('counter failed'))
    }
  }

  it('loads the real object at the first call and passes arguments, results and failures on', async () => {
    let loaded = 0
    const load = lazy(() => {
      loaded += 1
      return Promise.resolve(new Counter())
    })
    const counter = lazyObject(load, { add: true, fail: true })
    expect(loaded).toBe(0)

    expect(await counter.add(2, 3)).toBe(6)
    expect(await counter.add(1, 1)).toBe(7)
    await expect(counter.fail()).rejects.toThrow('counter failed')
    expect(loaded).toBe(1)
  })

  it('rejects, instead of throwing, where loading fails', async () => {
    const counter = lazyObject<Counter>(() => Promise.reject(new Error('no module')), { add: true, fail: true })

    await expect(counter.add(1, 1)).rejects.toThrow('no module')
  })
})

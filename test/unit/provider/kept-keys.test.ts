import { describe, expect, it } from 'vitest'
import { createKeptKeys } from '../../../shared/provider/kept-keys.ts'

describe('tokens that no kept key fits and that arrive together', () => {
  const start = () => {
    let [fetches, reads] = [0, 0]
    const keys = createKeptKeys({
      fetch: () => {
        fetches += 1
        return Promise.resolve([])
      },
      // The time of each noted token is compared with the clock.
      clock: () => {
        reads += 1
        return 0
      },
      onFault: () => undefined,
    })
    const send = (kid: string) => keys.refetchKeys(kid, 'RS256', 'anybody')
    return { send, fetches: () => fetches, reads: () => reads }
  }

  it('of one key id count once: a rotation under load uses up one fetch of the budget', async () => {
    const { send, fetches } = start()
    await Promise.all(Array.from({ length: 100 }, () => send('new')))
    expect(fetches()).toBe(1)

    for (const kid of ['second', 'third', 'fourth']) await send(kid)
    expect(fetches()).toBe(3)
  })

  it('of invented key ids share a fetch, and leave no list that each later token has to search', async () => {
    const { send, fetches, reads } = start()
    await Promise.all(Array.from({ length: 5_000 }, (_, number) => send(`invented-${number}`)))
    expect(fetches()).toBe(1)

    const before = reads()
    await send('later')
    expect(fetches()).toBe(1)
    expect(reads() - before).toBeLessThan(20)
  })
})

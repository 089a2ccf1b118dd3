import { describe, expect, it } from 'vitest'
import { BoundedMap } from '../../../shared/async/bounded-map.ts'

describe('a bounded map', () => {
  it('removes the entry that was added first', () => {
    const map = new BoundedMap<string, number>(2)

    map.set('a', 1).set('b', 2).set('c', 3)

    expect([...map.keys()]).toEqual(['b', 'c'])
  })

  it('treats an entry that is set again as a new one', () => {
    const map = new BoundedMap<string, number>(2)

    map.set('a', 1).set('b', 2).set('a', 3).set('c', 4)

    expect([...map]).toEqual([
      ['a', 3],
      ['c', 4],
    ])
  })
})

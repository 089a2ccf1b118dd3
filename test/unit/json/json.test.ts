import { describe, expect, it } from 'vitest'
import { defined, isObject, isText } from '../../../shared/json/json.ts'

describe('json', () => {
  it('defined drops undefined members only', () => {
    const members = defined({ a: undefined, b: null, c: 0, d: '', e: false })

    expect(Object.entries(members)).toEqual([
      ['b', null],
      ['c', 0],
      ['d', ''],
      ['e', false],
    ])
  })

  it('isText accepts a text with content, and isObject an object that is no array', () => {
    expect([isText('a'), isText(''), isText(1), isText(undefined)]).toEqual([true, false, false, false])
    expect([isObject({}), isObject([]), isObject(null), isObject('a')]).toEqual([true, false, false, false])
  })
})

import { expect, it } from 'vitest'
import { isSameText } from '../../../shared/crypto/same-text.ts'

it.each([
  ['state', 'state', true],
  ['', '', true],
  ['grüße', 'grüße', true],
  ['state', 'statf', false],
  ['state', 'State', false],
  ['state', 'state ', false],
  ['state', '', false],
  // The same number of characters, and of bytes another one.
  ['ü', 'u', false],
])('%j and %j are the same text: %s', (one, other, isSame) => {
  expect(isSameText(one, other)).toBe(isSame)
})

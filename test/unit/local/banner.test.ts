/** The keys of the local host, which `npm start` and `npm run watch` print. */
import { expect, it } from 'vitest'
import { keyLines } from '../../../local/banner.ts'

it('prints each key once, with the header and the use of it', () => {
  const lines = keyLines({ functionKey: 'opens-functions', masterKey: 'opens-all' })

  expect(lines).toEqual([
    expect.stringMatching(/^ {2}Operator key {7}opens-functions \(.*x-functions-key.*BROKER_FUNCTION_KEY/),
    expect.stringMatching(/^ {2}Master key {9}opens-all \(.*\/admin\/functions\/NAME/),
  ])
})

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { shopPage } from '../setup/person.ts'
import { expectBegun, expectNothingBegun, expectPage } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const returnUrl = 'http://localhost:3000/orders?page=2#last'

describe('a sign-in by response_mode=query', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ settings: { Broker__ResponseMode: 'query' } })
  })
  afterAll(() => stack.close())

  it('ends at the return URL, by one redirect of the provider', async () => {
    const person = stack.person()
    const begun = await person.begin({ frontend: 'shop', return_url: returnUrl })
    expect(expectBegun(begun).get('response_mode')).toBe('query')
    const answer = await person.atProvider(begun.location ?? '')
    expect(answer.mode).toBe('redirect')

    const done = await person.callback(answer)

    expect(done.status).toBe(303)
    expect(done.location).toBe(returnUrl)
    expect((await person.script(shopPage, '/session')).status).toBe(200)
    // The address no longer contains the code, and no Referer header sends it to another party.
    expect(done.location).not.toContain('code')
    expect(done.headers.get('referrer-policy')).toBe('no-referrer')
    expect(stack.log()).not.toContain(answer.fields.code ?? 'code')
    expect(stack.log()).not.toContain(answer.fields.state ?? 'state')
  })

  it('accepts the response in the query only, and each field once', async () => {
    const person = stack.person()
    const begin = async () => {
      const begun = await person.begin({ frontend: 'shop', return_url: returnUrl })
      return person.atProvider(begun.location ?? '')
    }

    const posted = await begin()
    expectPage(await person.callback({ ...posted, mode: 'form_post' }), 'answer_invalid')
    const doubled = await begin()
    const query = `${new URLSearchParams(doubled.fields).toString()}&code=other`
    expectNothingBegun(await person.open(`/callback?${query}`), 'answer_invalid')
    expect((await person.callback(doubled)).location).toBe(returnUrl)
  })

  it('with a repeated response redirects to the return URL and sets no cookie', async () => {
    const person = stack.person()
    const begun = await person.begin({ frontend: 'shop', return_url: returnUrl })
    const answer = await person.atProvider(begun.location ?? '')
    const transaction = await person.cookies()
    await person.callback(answer)
    stack.identityProvider.resetRequests()
    for (const [name, value] of Object.entries(transaction)) {
      await person.jar.setCookie(`${name}=${value}; Path=/; Secure; SameSite=None`, stack.url)
    }

    const again = await person.callback(answer)

    expect(again.location).toBe(returnUrl)
    expect(again.cookies).toEqual([])
    expect(stack.identityProvider.requests).toEqual([])
  })
})

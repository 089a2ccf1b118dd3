import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { app, authorizationRequest, authorize, newPkce, redirectUri } from '../setup/client.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

describe('an authorization request', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [app] })
  })
  afterAll(() => stack.close())

  const ask = async (query: URLSearchParams) => {
    const { location } = await stack.person().open(`/login?${query.toString()}`)
    return new URL(location ?? 'about:blank')
  }

  it('with parameters that libraries add is accepted, and the parameters are not passed on', async () => {
    const added = { display: 'popup', id_token_hint: 'e30.e30.e30', 'x-client-SKU': 'some.library', audience: 'any' }
    const person = stack.person()
    const request = authorizationRequest(newPkce(), added)

    const begun = await person.begin(request)
    const answer = await authorize(stack.person(), request)

    const sent = new URL(begun.location!)
    expect(sent.origin).toBe(stack.identityProvider.browserUrl)
    for (const name of Object.keys(added)) expect(sent.searchParams.has(name)).toBe(false)
    expect(answer.has('code')).toBe(true)
  })

  it.each(['toString', '__proto__', 'constructor'])(
    'with a parameter called %s is accepted like any other',
    async (name) => {
      const query = new URLSearchParams(authorizationRequest(newPkce()))
      query.append(name, 'a')

      expect((await ask(query)).origin).toBe(stack.identityProvider.browserUrl)
    },
  )

  it('that names such a parameter twice is refused', async () => {
    const query = new URLSearchParams(authorizationRequest(newPkce()))
    query.append('display', 'popup')
    query.append('display', 'page')

    const answer = await ask(query)

    expect(answer.href).toContain(`${redirectUri}?`)
    expect(answer.searchParams.get('error')).toBe('invalid_request')
  })

  it.each(['request', 'request_uri', 'acr_values', 'authorization_details', 'dpop_jkt'])(
    'with %s is refused, since ignoring it would look like support',
    async (name) => {
      const query = new URLSearchParams(authorizationRequest(newPkce(), { [name]: '1' }))

      const answer = await ask(query)

      expect(answer.href).toContain(`${redirectUri}?`)
      expect(answer.searchParams.get('error')).toBe('invalid_request')
      expect(answer.searchParams.get('state')).toBe('state-of-the-client')
    },
  )
})

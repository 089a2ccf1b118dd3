import { generators, Issuer } from 'openid-client-5'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { application, client as registration, followSignIn, followSignOut, scope } from './person.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack({ frontEnds: [registration] })))
afterAll(() => stack.close())

it('openid-client 5 signs in, reads the name, renews and signs out', async () => {
  const issuer = await Issuer.discover(stack.url)
  const client = new issuer.Client({
    client_id: 'app',
    redirect_uris: [`${application}/callback`],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  })
  const code_verifier = generators.codeVerifier()
  const nonce = generators.nonce()
  const state = generators.state()
  const url = client.authorizationUrl({
    scope,
    nonce,
    state,
    code_challenge: generators.codeChallenge(code_verifier),
    code_challenge_method: 'S256',
  })
  const person = stack.person()

  const params = client.callbackParams((await followSignIn(person, url)).href)
  const tokens = await client.callback(`${application}/callback`, params, { code_verifier, nonce, state })
  expect(tokens.claims().name).toBe('Ada Lovelace')
  expect(await client.userinfo(tokens)).toMatchObject({ name: 'Ada Lovelace' })

  const renewed = await client.refresh(tokens)
  expect(renewed.claims().sub).toBe(tokens.claims().sub)

  const signOut = client.endSessionUrl({ id_token_hint: renewed, post_logout_redirect_uri: `${application}/` })
  expect(await followSignOut(person, signOut)).toBe(`${application}/`)
  await expect(client.refresh(renewed)).rejects.toThrow('invalid_grant')
})

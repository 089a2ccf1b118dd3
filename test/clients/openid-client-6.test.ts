import * as client from 'openid-client'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { application, client as registration, followSignIn, followSignOut, scope } from './person.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack({ frontEnds: [registration] })))
afterAll(() => stack.close())

it('openid-client 6 signs in, reads the name, renews and signs out', async () => {
  const config = await client.discovery(new URL(stack.url), 'app', undefined, client.None(), {
    execute: [client.allowInsecureRequests], // for loopback
  })
  const code_verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  const redirectTo = client.buildAuthorizationUrl(config, {
    redirect_uri: `${application}/callback`,
    scope,
    code_challenge: await client.calculatePKCECodeChallenge(code_verifier),
    code_challenge_method: 'S256',
    state,
    nonce,
  })
  const person = stack.person()

  const answer = await followSignIn(person, redirectTo)
  const tokens = await client.authorizationCodeGrant(config, answer, {
    pkceCodeVerifier: code_verifier,
    expectedState: state,
    expectedNonce: nonce,
    idTokenExpected: true,
  })
  const { sub, name } = tokens.claims()!
  expect(name).toBe('Ada Lovelace')
  expect(await client.fetchUserInfo(config, tokens.access_token, sub)).toMatchObject({ sub, name })

  const renewed = await client.refreshTokenGrant(config, tokens.refresh_token!)
  expect(renewed.claims()).toMatchObject({ sub, name })

  const signOut = client.buildEndSessionUrl(config, {
    id_token_hint: renewed.id_token!,
    post_logout_redirect_uri: `${application}/`,
  })
  expect(await followSignOut(person, signOut)).toBe(`${application}/`)
  await expect(client.refreshTokenGrant(config, renewed.refresh_token!)).rejects.toMatchObject({
    error: 'invalid_grant',
  })
})

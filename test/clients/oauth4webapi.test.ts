import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { application, client as registration, followSignIn, followSignOut, scope } from './person.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack({ frontEnds: [registration] })))
afterAll(() => stack.close())

it('oauth4webapi signs in, reads the name, renews and signs out', async () => {
  const http = { [oauth.allowInsecureRequests]: true } // for loopback
  const issuer = new URL(stack.url)
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, http))
  const client: oauth.Client = { client_id: 'app' }
  const clientAuth = oauth.None()
  const redirect_uri = `${application}/callback`
  const code_verifier = oauth.generateRandomCodeVerifier()
  const nonce = oauth.generateRandomNonce()
  const authorizationUrl = new URL(as.authorization_endpoint!)
  authorizationUrl.search = new URLSearchParams({
    client_id: client.client_id,
    redirect_uri,
    response_type: 'code',
    scope,
    code_challenge: await oauth.calculatePKCECodeChallenge(code_verifier),
    code_challenge_method: 'S256',
    nonce,
  }).toString()
  const person = stack.person()

  const params = oauth.validateAuthResponse(as, client, await followSignIn(person, authorizationUrl))
  const tokens = await oauth.processAuthorizationCodeResponse(
    as,
    client,
    await oauth.authorizationCodeGrantRequest(as, client, clientAuth, params, redirect_uri, code_verifier, http),
    { expectedNonce: nonce, requireIdToken: true },
  )
  const { sub, name } = oauth.getValidatedIdTokenClaims(tokens)!
  expect(name).toBe('Ada Lovelace')
  const userinfo = await oauth.userInfoRequest(as, client, tokens.access_token, http)
  expect(await oauth.processUserInfoResponse(as, client, sub, userinfo)).toMatchObject({ sub, name })

  const renew = async (token: string) =>
    oauth.processRefreshTokenResponse(
      as,
      client,
      await oauth.refreshTokenGrantRequest(as, client, clientAuth, token, http),
    )
  const renewed = await renew(tokens.refresh_token!)
  expect(oauth.getValidatedIdTokenClaims(renewed)).toMatchObject({ sub, name })

  const signOut = new URL(as.end_session_endpoint!)
  signOut.searchParams.set('id_token_hint', renewed.id_token!)
  signOut.searchParams.set('post_logout_redirect_uri', `${application}/`)
  expect(await followSignOut(person, signOut)).toBe(`${application}/`)
  await expect(renew(renewed.refresh_token!)).rejects.toMatchObject({ error: 'invalid_grant' })
})

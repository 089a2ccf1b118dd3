import * as arctic from 'arctic'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { application, client as registration, followSignIn, ordersRead } from './person.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack({ frontEnds: [registration] })))
afterAll(() => stack.close())

it('arctic signs in, reads the name, renews and revokes', async () => {
  const client = new arctic.OAuth2Client('app', null, `${application}/callback`)
  const state = arctic.generateState()
  const codeVerifier = arctic.generateCodeVerifier()
  const scopes = ['openid', 'profile', ordersRead]
  const url = client.createAuthorizationURLWithPKCE(
    `${stack.url}/login`,
    state,
    arctic.CodeChallengeMethod.S256,
    codeVerifier,
    scopes,
  )

  const answer = (await followSignIn(stack.person(), url)).searchParams
  expect(answer.get('state')).toBe(state)
  const tokens = await client.validateAuthorizationCode(`${stack.url}/token`, answer.get('code')!, codeVerifier)
  expect(arctic.decodeIdToken(tokens.idToken())).toMatchObject({ name: 'Ada Lovelace' })

  const renewed = await client.refreshAccessToken(`${stack.url}/token`, tokens.refreshToken(), scopes)
  expect(arctic.decodeIdToken(renewed.idToken())).toMatchObject({ name: 'Ada Lovelace' })

  await client.revokeToken(`${stack.url}/revoke`, renewed.refreshToken())
  await expect(client.refreshAccessToken(`${stack.url}/token`, renewed.refreshToken(), scopes)).rejects.toMatchObject({
    code: 'invalid_grant',
  })
})

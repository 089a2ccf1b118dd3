import { betterAuth } from 'better-auth'
import { genericOAuth } from 'better-auth/plugins'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { application, client as registration, followSignIn, scope, visit } from './person.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack({ frontEnds: [registration] })))
afterAll(() => stack.close())

it('better-auth signs in, reads the name, renews and signs out', async () => {
  const auth = betterAuth({
    baseURL: application,
    secret: 'a secret of the application, 32 bytes',
    trustedOrigins: [application],
    telemetry: { enabled: false },
    plugins: [
      genericOAuth({
        config: [
          {
            providerId: 'broker',
            clientId: 'app',
            discoveryUrl: `${stack.url}/.well-known/openid-configuration`,
            scopes: scope.split(' '),
            pkce: true,
          },
        ],
      }),
    ],
  })
  const browser = visit((request) => auth.handler(request))

  const begun = await browser('/api/auth/sign-in/social', undefined, { provider: 'broker', callbackURL: '/' })
  const { url } = (await begun.json()) as { url: string }
  const answer = await followSignIn(stack.person(), url)
  const done = await browser(answer)
  expect([done.status, done.headers.get('location')]).toEqual([302, '/'])
  const session = await (await browser('/api/auth/get-session')).json()
  expect(session).toMatchObject({ user: { name: 'Ada Lovelace', email: 'ada@contoso.example' } })

  const [account] = (await (await browser('/api/auth/list-accounts')).json()) as { id: string }[]
  const renew = async () => {
    const renewed = await browser('/api/auth/refresh-token', undefined, { accountId: account!.id })
    return (await renewed.json()) as { refreshToken: string; idToken: string }
  }
  const first = await renew()
  const second = await renew()
  expect(decodeJwt(second.idToken)).toMatchObject({ name: 'Ada Lovelace' })
  expect(second.refreshToken).not.toBe(first.refreshToken)

  await browser('/api/auth/sign-out', undefined, {})
  expect(await (await browser('/api/auth/get-session')).json()).toBeNull()
})

import { createRequire } from 'node:module'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { NextAuthOptions } from 'next-auth'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { application, client as registration, followSignIn, scope } from './person.ts'

// The core that the handlers of Next.js call. The package exports it to its own files only.
const require = createRequire(import.meta.url)
const { AuthHandler } = require('./node_modules/next-auth/core/index.js') as {
  AuthHandler: (call: { req: object; options: NextAuthOptions }) => Promise<Answer>
}

interface Answer {
  readonly body?: unknown
  readonly redirect?: string
  readonly cookies?: readonly { name: string; value: string }[]
}

let stack: Stack
beforeAll(async () => void (stack = await startStack({ frontEnds: [registration] })))
afterAll(() => stack.close())

it('next-auth 4 signs in, reads the name from the ID token, and signs out of the application', async () => {
  const cookies: Record<string, string> = {}
  const call = async (request: Readonly<Record<string, unknown>>) => {
    const response = await AuthHandler({
      req: { origin: application, headers: {}, cookies, ...request },
      options: {
        secret: 'a secret of the application, 32 bytes',
        providers: [
          {
            id: 'broker',
            name: 'Broker',
            type: 'oauth',
            wellKnown: `${stack.url}/.well-known/openid-configuration`,
            clientId: 'app',
            client: { token_endpoint_auth_method: 'none' },
            authorization: { params: { scope } },
            idToken: true,
            checks: ['pkce', 'state', 'nonce'],
            profile: ({ sub, name, email }: { sub: string; name: string; email: string }) => ({ id: sub, name, email }),
          },
        ],
      },
    })
    for (const { name, value } of response.cookies ?? []) cookies[name] = value
    return response
  }
  process.env.NEXTAUTH_URL = `${application}/api/auth`

  const { body } = await call({ action: 'csrf', method: 'GET' })
  const { csrfToken } = body as { csrfToken: string }
  const begun = await call({ action: 'signin', providerId: 'broker', method: 'POST', body: { csrfToken } })
  const answer = await followSignIn(stack.person(), begun.redirect!)
  const query = Object.fromEntries(answer.searchParams)
  const done = await call({ action: 'callback', providerId: 'broker', method: 'GET', query })
  expect(done.redirect).toBe(application)
  const session = await call({ action: 'session', method: 'GET' })
  expect(session.body).toMatchObject({ user: { name: 'Ada Lovelace', email: 'ada@contoso.example' } })

  await call({ action: 'signout', method: 'POST', body: { csrfToken } })
  expect((await call({ action: 'session', method: 'GET' })).body).toEqual({})
})

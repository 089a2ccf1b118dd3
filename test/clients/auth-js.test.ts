import { afterAll, beforeAll, expect, it } from 'vitest'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { visitAuthJs } from './auth-js-application.ts'
import { application, client as registration, followSignIn } from './person.ts'

let stack: Stack
beforeAll(async () => void (stack = await startStack({ frontEnds: [registration] })))
afterAll(() => stack.close())

it('Auth.js signs in, reads the name from the ID token, and signs out of the application', async () => {
  const browser = visitAuthJs(stack.url, { client: { token_endpoint_auth_method: 'none' } })

  const begun = await browser('/auth/signin/broker', {})
  const answer = await followSignIn(stack.person(), begun.headers.get('location')!)
  const done = await browser(answer)
  expect([done.status, done.headers.get('location')]).toEqual([302, application])
  const session = await (await browser('/auth/session')).json()
  expect(session).toMatchObject({ user: { name: 'Ada Lovelace', email: 'ada@contoso.example' } })

  await browser('/auth/signout', {})
  expect(await (await browser('/auth/session')).json()).toBeNull()
})

/** A browser that signed in at one front end of the broker, and comes for the next one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { app, authorizationRequest, newPkce, redeem, redirectUri } from '../setup/client.ts'
import type { Person } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

const apart: Registration = { ...app, prompts: ['none', 'login'] }
const everywhere: Registration = { ...apart, id: 'everywhere', singleSignOn: true }
const shop: Registration = { id: 'shop', origins: ['http://localhost:5173'], apis: [] }

describe('a browser that signed in at another front end', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [shop, apart, everywhere], instances: 2 })
  })
  afterAll(() => stack.close())

  const ask = async (person: Person, client_id: string, prompt?: string) => {
    const pkce = newPkce()
    const begun = await person.begin(authorizationRequest(pkce, { client_id, prompt }))
    return { pkce, begun, asked: new URL(begun.location!).searchParams }
  }

  describe.each([
    ['by a session front end', (person: Person) => person.signIn({ frontend: 'shop' })],
    [
      'by an OAuth client',
      async (person: Person) => {
        const { begun } = await ask(person, 'everywhere')
        await person.callback(await person.atProvider(begun.location!))
      },
    ],
  ])('%s', (_, signIn) => {
    it('chooses the account at a front end without single sign-on, which is told login_required where it may not', async () => {
      const person = stack.person()
      await signIn(person)

      expect((await ask(person, 'app')).asked.get('prompt')).toBe('select_account')
      const { begun, asked } = await ask(person, 'app', 'none')
      expect(begun.location).toMatch(`${redirectUri}?`)
      expect(Object.fromEntries(asked)).toMatchObject({ error: 'login_required', iss: stack.url })
      // What asks for more than that is left as it is.
      expect((await ask(person, 'app', 'login')).asked.get('prompt')).toBe('login')
    })

    it.each([undefined, 'none'])('is signed in without a question at one with it (prompt %s)', async (prompt) => {
      const person = stack.person()
      await signIn(person)

      const { begun, asked, pkce } = await ask(person, 'everywhere', prompt)
      expect(asked.get('prompt')).toBe(prompt ?? null)
      const done = await person.callback(await person.atProvider(begun.location!))
      const code = new URL(done.location!).searchParams.get('code')!
      expect((await redeem(stack.url, code, pkce, { client_id: 'everywhere' })).status).toBe(200)
    })
  })

  it('is signed in without a question at the front end that it signed in at last, on any instance', async () => {
    const person = stack.person()
    const first = await ask(person, 'app')
    expect(first.asked.get('prompt')).toBeNull()
    await person.callback(await person.atProvider(first.begun.location!))

    expect((await ask(person, 'app')).asked.get('prompt')).toBeNull()
    const again = authorizationRequest(newPkce(), { prompt: 'none' })
    const elsewhere = await person.begin(again, { at: stack.brokers[1]!.url })
    expect(new URL(elsewhere.location!).searchParams.get('prompt')).toBe('none')
  })

  it('is asked as before where its cookie is forged', async () => {
    const person = stack.person()
    await person.signIn({ frontend: 'shop' })
    await person.jar.setCookie('__Host-known=2026-11.AAAA; Path=/; Secure', `${stack.url.replace('http:', 'https:')}/`)

    expect((await ask(person, 'app')).asked.get('prompt')).toBe('select_account')
  })
})

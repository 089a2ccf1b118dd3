/** A browser that signed in at one front end of the broker, and then opens the next one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { app, authorizationRequest, newPkce, redeem, redirectUri } from '../setup/client.ts'
import type { Person } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

const apart: Registration = { ...app, prompts: ['none', 'login'] }
const everywhere: Registration = { ...apart, id: 'everywhere', singleSignOn: true }
const narrow: Registration = { ...apart, id: 'narrow' }
const shop: Registration = { id: 'shop', origins: ['http://localhost:5173'], apis: [] }

describe('a browser that signed in at another front end', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [shop, apart, everywhere, narrow], instances: 2 })
  })
  afterAll(() => stack.close())

  const ask = async (person: Person, client_id: string, prompt?: string) => {
    const pkce = newPkce()
    const begun = await person.begin(authorizationRequest(pkce, { client_id, prompt }))
    return { pkce, begun, asked: new URL(begun.location!).searchParams }
  }

  const signInAt = async (person: Person, client_id: string) => {
    const { pkce, begun } = await ask(person, client_id)
    const done = await person.callback(await person.atProvider(begun.location!))
    const code = new URL(done.location!).searchParams.get('code')!
    const answer = await redeem(stack.url, code, pkce, { client_id })
    return { refreshToken: answer.json.refresh_token as string }
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
    it('shows the choice of account at a front end without single sign-on, which receives login_required where no page may be shown', async () => {
      const person = stack.person()
      await signIn(person)

      expect((await ask(person, 'app')).asked.get('prompt')).toBe('select_account')
      const { begun, asked: requested } = await ask(person, 'app', 'none')
      expect(begun.location).toMatch(`${redirectUri}?`)
      expect(Object.fromEntries(requested)).toMatchObject({ error: 'login_required', iss: stack.url })
      // A prompt that requires more is passed on unchanged.
      expect((await ask(person, 'app', 'login')).asked.get('prompt')).toBe('login')
    })

    it.each([undefined, 'none'])('is signed in without a question at one with it (prompt %s)', async (prompt) => {
      const person = stack.person()
      await signIn(person)

      const { begun, asked: requested, pkce } = await ask(person, 'everywhere', prompt)
      expect(requested.get('prompt')).toBe(prompt ?? null)
      const done = await person.callback(await person.atProvider(begun.location!))
      const code = new URL(done.location!).searchParams.get('code')!
      expect((await redeem(stack.url, code, pkce, { client_id: 'everywhere' })).status).toBe(200)
    })
  })

  it('is signed in without a question at the front end that it signed in at, on any instance', async () => {
    const person = stack.person()
    await signInAt(person, 'app')

    expect((await ask(person, 'app')).asked.get('prompt')).toBeNull()
    const again = authorizationRequest(newPkce(), { prompt: 'none' })
    const elsewhere = await person.begin(again, { at: stack.brokers[1]!.url })
    expect(new URL(elsewhere.location!).searchParams.get('prompt')).toBe('none')
  })

  it('keeps one mark for each client: a sign-in at the second client does not replace the first mark', async () => {
    const person = stack.person()
    await signInAt(person, 'app')
    await signInAt(person, 'narrow')

    for (const id of ['app', 'narrow']) {
      expect((await ask(person, id, 'none')).asked.get('prompt'), id).toBe('none')
    }
    expect((await ask(person, 'app')).asked.get('login_hint')).toBe(
      (await ask(person, 'narrow')).asked.get('login_hint'),
    )
  })

  it('is not signed in by prompt=none at a client without single sign-on, known here or not', async () => {
    const [unknown, known] = [stack.person(), stack.person()]
    await signInAt(known, 'narrow')

    // The answer is the same for both: otherwise a page could learn that
    // this browser has signed in at another front end.
    for (const person of [unknown, known]) {
      const { begun, asked: requested } = await ask(person, 'app', 'none')
      expect(begun.location).toMatch(`${redirectUri}?`)
      expect(requested.get('error')).toBe('login_required')
      expect(begun.cookies).toEqual([])
    }
    await signInAt(unknown, 'app')
    expect((await ask(unknown, 'app', 'none')).asked.get('prompt')).toBe('none')
  })

  describe('when a client signs out', () => {
    it('loses the mark of that client, and keeps the mark of every other one', async () => {
      const person = stack.person()
      await signInAt(person, 'app')
      // The attack: the second client sends the browser to its own /logout/done, and then sends an authorization
      // request with prompt=none.
      const { refreshToken } = await signInAt(person, 'narrow')
      const out = await person.script({ id: 'narrow', origin: app.origins[0]! }, '/logout', {
        method: 'POST',
        body: JSON.stringify({ refresh_token: refreshToken }),
        headers: { 'sec-fetch-site': 'cross-site' },
      })
      const state = new URL(out.json.url as string).searchParams.get('state')!

      const done = await person.open(`/logout/done?${new URLSearchParams({ state }).toString()}`)

      expect(done.status).toBe(303)
      expect((await ask(person, 'app', 'none')).asked.get('prompt')).toBe('none')
      expect((await ask(person, 'narrow', 'none')).asked.get('error')).toBe('login_required')
      expect((await ask(person, 'narrow')).asked.get('prompt')).toBe('select_account')
    })
  })

  it('sees the question as before where its cookie is forged, or moved from another client', async () => {
    const person = stack.person()
    const at = `${stack.url.replace('http:', 'https:')}/`
    await signInAt(person, 'narrow')
    const { '__Host-known-narrow': mark } = await person.cookies()

    for (const value of ['2026-11.AAAA', 'AAAA', mark]) {
      await person.jar.setCookie(`__Host-known-app=${value}; Path=/; Secure`, at)
      expect((await ask(person, 'app')).asked.get('prompt'), value).toBe('select_account')
      expect((await ask(person, 'app', 'none')).asked.get('error'), value).toBe('login_required')
    }
  })
})

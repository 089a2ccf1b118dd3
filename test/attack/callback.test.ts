import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import * as answers from '../setup/answers.ts'
import type { Begun } from '../setup/answers.ts'
import { ada, shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { expectNothingBegun, expectPage, linksOf } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const { plant, transactionOf, without } = answers
const returnUrl = 'http://localhost:3000/a'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
  await stack.person().signIn({ frontend: 'shop', return_url: returnUrl })
})
afterAll(() => stack.close())
beforeEach(() => {
  stack.store.resetRequests()
  stack.identityProvider.resetRequests()
  stack.identityProvider.changeTokenResponse()
})

const almostSignedIn = (username = ada) =>
  answers.almostSignedIn(stack, { frontend: 'shop', return_url: returnUrl }, { username })
const stateOf = ({ answer }: Begun) => answer.fields.state ?? ''

function post(person: Person, fields: Readonly<Record<string, string>>): Promise<Reply> {
  return person.callback({ mode: 'form_post', fields })
}

function tokenRequests(): number {
  return stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token').length
}

function expectNothingTaken(): void {
  expect(tokenRequests()).toBe(0)
  expect(stack.store.requests.filter(({ table }) => table === 'states' || table === 'sessions')).toEqual([])
}

async function expectSignedIn({ person, answer }: Begun): Promise<void> {
  const done = await person.callback(answer)
  expect(done.status, done.text).toBe(303)
  expect(done.location).toBe(returnUrl)
  expect((await person.script(shopPage, '/session')).json).toMatchObject({ username: ada })
}

describe('a state', () => {
  it.each([
    ['that the broker never issued', () => `${'A'.repeat(43)}.shop`],
    ['cut at its end', (state: string) => state.slice(0, -1)],
    ['cut to the name of its cookie', (state: string) => state.slice(0, 8)],
    ['without the front end', (state: string) => state.slice(0, 43)],
    ['of another front end', (state: string) => state.replace('.shop', '.desk')],
    ['in the other case', (state: string) => state.slice(0, 8) + swapCase(state.slice(8))],
    ['in the other case from its beginning', (state: string) => swapCase(state)],
    ['with a character added', (state: string) => `${state}x`],
    ['with one character changed', (state: string) => `${state.slice(0, 20)}${flip(state[20])}${state.slice(21)}`],
  ])('%s is rejected before the broker calls any other part', async (_, change) => {
    const begun = await almostSignedIn()

    const refused = await post(begun.person, { ...begun.answer.fields, state: change(stateOf(begun)) })

    expectNothingBegun(refused, 'sign_in_unknown')
    expectNothingTaken()
    await expectSignedIn(begun)
  })

  it('that is missing is rejected, with and without an error beside it', async () => {
    const begun = await almostSignedIn()
    const stateless = without(begun.answer.fields, 'state')

    for (const fields of [stateless, { ...stateless, error: 'access_denied' }, {}]) {
      expectNothingBegun(await post(begun.person, fields), 'sign_in_unknown')
    }
    expectNothingTaken()
    await expectSignedIn(begun)
  })

  it('of another browser is rejected, and accepted in its own browser', async () => {
    const begun = await almostSignedIn()
    const stranger = stack.person()
    await stranger.begin({ frontend: 'shop', return_url: returnUrl })

    const refused = await post(stranger, begun.answer.fields)

    expectNothingBegun(refused, 'sign_in_unknown')
    expectNothingTaken()
    await expectSignedIn(begun)
  })

  it('that is unknown gets a page with links to the front end that it names, if that is registered', async () => {
    const person = stack.person()

    const known = await post(person, { state: `${'A'.repeat(43)}.shop`, code: 'a' })
    const strangers = await post(person, { state: 'A.https://evil.example/', code: 'a' })

    expect(linksOf(known)).toEqual([`${stack.url}/login?frontend=shop`, `${shopPage.origin}/`])
    expect(linksOf(strangers)).toEqual([])
    expect(strangers.text).not.toContain('evil')
  })
})

describe('a stolen code', () => {
  it('in the thief’s own transaction is rejected because of PKCE', async () => {
    const victim = await almostSignedIn()
    const thief = await almostSignedIn('grace@contoso.example')

    const refused = await post(thief.person, { ...thief.answer.fields, code: victim.answer.fields.code ?? '' })

    expectPage(refused, 'code_refused')
    expect((await thief.person.cookies())['__Host-session-shop']).toBeUndefined()
    await expectSignedIn(await almostSignedIn())
  })

  it('is rejected because of the nonce if the provider does not check PKCE', async () => {
    const thief = await almostSignedIn()
    stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => ({
      ...answer,
      id_token: await signIdToken({ ...payloadOf(answer.id_token), nonce: 'of the victim' }),
    }))

    expectPage(await post(thief.person, thief.answer.fields), 'id_token_refused')
    expect((await thief.person.cookies())['__Host-session-shop']).toBeUndefined()
    stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => ({
      ...answer,
      id_token: await signIdToken(payloadOf(answer.id_token)),
    }))
    await expectSignedIn(await almostSignedIn())
  })

  it('without any transaction creates no session', async () => {
    const victim = await almostSignedIn()

    expectNothingBegun(await post(stack.person(), victim.answer.fields), 'sign_in_unknown')
    expectNothingTaken()
    await expectSignedIn(victim)
  })
})

describe('a stolen transaction', () => {
  it('creates no session without the answer that belongs to it', async () => {
    const victim = await almostSignedIn()
    const thief = await almostSignedIn('grace@contoso.example')
    await plant(thief.person, stack.url, await transactionOf(victim.person))

    // The thief sends their own code under the victim's state, or under their own:
    // a login for another person, or their own.
    const refused = await post(thief.person, { ...thief.answer.fields, state: stateOf(victim) })

    expectPage(refused, 'code_refused')
    expect((await thief.person.cookies())['__Host-session-shop']).toBeUndefined()
  })

  it.each([
    ['changed by a byte at its end', (value: string) => value.slice(0, -2) + flip(value.at(-2)) + value.slice(-1)],
    ['changed by a byte at its beginning', (value: string) => value.replace(/\.(.)/, (_, c: string) => `.${flip(c)}`)],
    ['cut', (value: string) => value.slice(0, -8)],
    ['made empty', () => ''],
    ['without its key’s name', (value: string) => value.split('.')[1] ?? ''],
    ['under the name of another key', (value: string) => value.replace(/^\d{4}/, '2019')],
    ['under a value that is no key’s name', (value: string) => value.replace(/^[\d-]+/, '../x')],
    ['in another encoding', (value: string) => `${value}%3D`],
    ['with characters added', (value: string) => `${value}.x`],
  ])('%s is rejected, with a link to start again', async (_, change) => {
    const begun = await almostSignedIn()
    const { name, value } = await transactionOf(begun.person)
    await plant(begun.person, stack.url, { name, value: change(value) })

    const refused = await post(begun.person, begun.answer.fields)

    expectNothingBegun(refused, 'sign_in_unknown')
    expect(linksOf(refused)).toContain(`${stack.url}/login?frontend=shop`)
    expectNothingTaken()
    await plant(begun.person, stack.url, { name, value })
    await expectSignedIn(begun)
  })

  it('under another transaction’s name creates no session', async () => {
    const begun = await almostSignedIn()
    const other = await almostSignedIn()
    const { name } = await transactionOf(begun.person)
    const { value } = await transactionOf(other.person)
    await plant(begun.person, stack.url, { name, value })

    expectNothingBegun(await post(begun.person, begun.answer.fields), 'sign_in_unknown')
    expectNothingBegun(await post(begun.person, other.answer.fields), 'sign_in_unknown')
    expectNothingTaken()
    await expectSignedIn(other)
  })

  it('of another deployment, sealed with another key, creates no session', async () => {
    // With tables of its own, an instance has a key ring of its own.
    const { url: at } = await stack.startInstance({ Broker__TablePrefix: `${stack.tablePrefix}other` })
    const person = stack.person()
    const begun = await person.begin({ frontend: 'shop', return_url: returnUrl }, { at })
    const answer = await person.atProvider(begun.location ?? '')
    const here = stack.person()
    await plant(here, stack.url, await transactionOf(person))

    expectNothingBegun(await here.callback(answer), 'sign_in_unknown')
    expectNothingTaken()
    expect((await person.callback(answer, { at })).location).toBe(returnUrl)
  })
})

describe('a session cookie planted before the sign-in', () => {
  it('signs no person in, before and after the sign-in, and is not the cookie that the person gets', async () => {
    const mallory = stack.person()
    await mallory.signIn({ frontend: 'shop', return_url: returnUrl }, 'grace@contoso.example')
    const theirs = (await mallory.cookies())['__Host-session-shop'] ?? ''
    for (const planted of ['A'.repeat(48), theirs]) {
      const begun = await almostSignedIn()
      await plant(begun.person, stack.url, { name: '__Host-session-shop', value: planted })

      await expectSignedIn(begun)

      expect((await begun.person.cookies())['__Host-session-shop']).not.toBe(planted)
    }
    expect((await mallory.script(shopPage, '/session')).json).toMatchObject({ username: 'grace@contoso.example' })
    const guesser = stack.person()
    await plant(guesser, stack.url, { name: '__Host-session-shop', value: 'A'.repeat(48) })
    expect((await guesser.script(shopPage, '/session')).status).toBe(401)
  })
})

describe('two cookies with the same name', () => {
  it('are ignored, for the transaction and for the session, in either order', async () => {
    const begun = await almostSignedIn()
    const { name, value } = await transactionOf(begun.person)
    const post = (cookie: string) => stack.person().callback(begun.answer, { headers: { cookie } })
    for (const cookie of [`${name}=${value}; ${name}=x`, `${name}=x; ${name}=${value}`]) {
      expectNothingBegun(await post(cookie), 'sign_in_unknown')
    }
    expectNothingTaken()
    expect((await post(`a=b; ${name}=${value}; c=d`)).location).toBe(returnUrl)

    const signedIn = stack.person()
    await signedIn.signIn({ frontend: 'shop', return_url: returnUrl })
    const session = (await signedIn.cookies())['__Host-session-shop'] ?? ''
    const ask = (cookie: string) => stack.person().script(shopPage, '/session', { headers: { cookie } })
    const one = `__Host-session-shop=${session}`
    expect((await ask(`${one}; __Host-session-shop=x`)).status).toBe(401)
    expect((await ask(`__Host-session-shop=x; ${one}`)).status).toBe(401)
    expect((await ask(`${one}; ${one}`)).status).toBe(401)
    expect((await ask(`a=b; ${one}; __host-session-shop=x`)).status).toBe(200)
  })
})

function swapCase(text: string): string {
  return text.replace(/[a-z]/gi, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  )
}

function flip(character = 'A'): string {
  return character === 'A' ? 'B' : 'A'
}

function payloadOf(idToken: unknown): Record<string, unknown> {
  return JSON.parse(Buffer.from(String(idToken).split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
}

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import * as answers from '../setup/answers.ts'
import { shopPage } from '../setup/person.ts'
import { expectPage, linksOf } from '../setup/refusals.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const { plant } = answers
const returnUrl = 'http://localhost:3000/a'

let stack: Stack
let there: string
beforeAll(async () => {
  // A strict provider: a code that arrives twice revokes the tokens of its first use.
  stack = await startStack({ instances: 2 })
  stack.identityProvider.settings.singleUseRefreshTokens = true
  there = stack.brokers[1]?.url ?? ''
  for (const at of [stack.url, there])
    await stack.person().signIn({ frontend: 'shop', return_url: returnUrl }, undefined, { at })
})
afterAll(() => stack.close())
beforeEach(() => {
  stack.store.resetRequests()
  stack.identityProvider.resetRequests()
})

const almostSignedIn = () => answers.almostSignedIn(stack, { frontend: 'shop', return_url: returnUrl })

function redeemed(): number {
  return stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token').length
}

describe('a callback that arrives a second time', () => {
  it.each(['here', 'on another instance'])(
    '%s redirects to the return URL, sets no cookie and redeems no code',
    async (where) => {
      const { person, answer, transaction } = await almostSignedIn()
      expect((await person.callback(answer)).location).toBe(returnUrl)
      const session = (await person.cookies())['__Host-session-shop']
      await plant(person, stack.url, transaction)

      const again = await person.callback(answer, { at: where === 'here' ? stack.url : there })

      expect(again.status).toBe(303)
      expect(again.location).toBe(returnUrl)
      expect(again.cookies).toEqual([])
      expect(redeemed()).toBe(1)
      expect((await person.cookies())['__Host-session-shop']).toBe(session)
      expect((await person.script(shopPage, '/session')).status).toBe(200)
      expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
    },
  )

  it('from a thief of both the transaction and the answer creates no session for the thief', async () => {
    const { person, answer, transaction } = await almostSignedIn()
    await person.callback(answer)
    const thief = stack.person()
    await plant(thief, stack.url, transaction)

    const again = await thief.callback(answer)

    expect(again.cookies).toEqual([])
    expect((await thief.script(shopPage, '/session')).status).toBe(401)
    expect((await person.script(shopPage, '/session')).status).toBe(200)
  })

  it('with another code under the same state does not redeem that code either', async () => {
    const { person, answer, transaction } = await almostSignedIn()
    await person.callback(answer)
    const other = await almostSignedIn()
    await plant(person, stack.url, transaction)

    const again = await person.callback({
      ...answer,
      fields: { ...answer.fields, code: other.answer.fields.code ?? '' },
    })

    expect(again.location).toBe(returnUrl)
    expect(again.cookies).toEqual([])
    expect(redeemed()).toBe(1)
  })

  it('by a reload, without its transaction, shows links to continue and keeps the session', async () => {
    const { person, answer } = await almostSignedIn()
    await person.callback(answer)

    const again = await person.callback(answer)

    expectPage(again, 'sign_in_unknown')
    expect(again.cookies).toEqual([])
    expect(linksOf(again)).toContain(`${shopPage.origin}/`)
    expect(redeemed()).toBe(1)
    expect((await person.script(shopPage, '/session')).status).toBe(200)
  })

  it('after the provider rejected the code is not sent to the provider again', async () => {
    const { person, answer, transaction } = await almostSignedIn()
    stack.identityProvider.nextTokenError({ error: 'invalid_grant', error_codes: [70008] })
    const first = await person.callback(answer)
    expectPage(first, 'code_refused')
    await plant(person, stack.url, transaction)

    const again = await person.callback(answer)

    expect(again.cookies).toEqual([])
    expect(redeemed()).toBe(1)
    const anew = await person.open(linksOf(first)[0] ?? '')
    expect((await person.callback(await person.atProvider(anew.location ?? ''))).location).toBe(returnUrl)
  })
})

describe('two instances that receive the same callback at once', () => {
  it('redeem the code once in total, and one of them signs the person in', async () => {
    for (let round = 0; round < 5; round++) {
      const { person, answer, transaction } = await almostSignedIn()
      stack.identityProvider.resetRequests()
      const browsers = [stack.url, there, stack.url, there].map((at) => ({ at, browser: stack.person() }))
      for (const { browser } of browsers) await plant(browser, stack.url, transaction)

      const replies = await Promise.all(browsers.map(({ at, browser }) => browser.callback(answer, { at })))

      expect(replies.map(({ status }) => status)).toEqual([303, 303, 303, 303])
      expect(replies.map(({ location }) => location)).toEqual(Array(4).fill(returnUrl))
      const winners = replies.filter(({ cookies }) =>
        cookies.some((cookie) => cookie.startsWith('__Host-session-shop=')),
      )
      expect(winners).toHaveLength(1)
      expect(replies.filter(({ cookies }) => cookies.length === 0)).toHaveLength(3)
      expect(redeemed()).toBe(1)
      const sessions = await Promise.all(browsers.map(({ browser }) => browser.script(shopPage, '/session')))
      expect(sessions.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401])
      expect(await person.cookies()).not.toHaveProperty('__Host-session-shop')
    }
  })
})

describe('a start at one instance and its callback at another', () => {
  it('form one sign-in: instances share only the store', async () => {
    const { person, answer } = await almostSignedIn()

    expect((await person.callback(answer, { at: there })).location).toBe(returnUrl)
    expect((await person.script(shopPage, '/session')).status).toBe(200)
    expect((await person.script(shopPage, '/session', { at: there })).status).toBe(200)
  })

  it.each([
    ['the front end was removed', [desk], 'front_end_unknown', []],
    [
      'its origin was removed',
      [{ ...shop, origins: ['http://localhost:3999'] }, desk],
      'return_url_not_registered',
      ['LOGIN', 'http://localhost:3999/'],
    ],
    [
      'its return URLs were narrowed',
      [{ ...shop, returnUrls: ['http://localhost:3000/signed-in'] }, desk],
      'return_url_not_registered',
      ['LOGIN', 'http://localhost:3000/signed-in'],
    ],
  ] as const)(
    'ends on a page where %s in between, and the provider receives no code',
    async (_, frontEnds, code, links) => {
      const changed = await stack.startInstance({ Broker__FrontEnds: JSON.stringify(frontEnds) })
      const { person, answer, transaction } = await almostSignedIn()

      const refused = await person.callback(answer, { at: changed.url })

      expectPage(refused, code)
      expect(linksOf(refused)).toEqual(links.map((link) => link.replace('LOGIN', `${stack.url}/login?frontend=shop`)))
      expect(refused.text).not.toContain(returnUrl)
      expect(redeemed()).toBe(0)
      // At an instance where the front end is unchanged, the same response signs the person in.
      await plant(person, stack.url, transaction)
      expect((await person.callback(answer)).location).toBe(returnUrl)
    },
  )
})

describe('a session of a front end that was removed from the settings', () => {
  it('is returned to no script, and the answer allows no origin to read it', async () => {
    const { person, answer } = await almostSignedIn()
    await person.callback(answer)
    const without = await stack.startInstance({ Broker__FrontEnds: JSON.stringify([desk]) })

    const session = await person.script(shopPage, '/session', { at: without.url })

    expect([session.status, session.json.code]).toEqual([400, 'front_end_unknown'])
    expect(session.headers.get('access-control-allow-origin')).toBeNull()
    expect((await person.script(shopPage, '/session')).status).toBe(200)
  })
})

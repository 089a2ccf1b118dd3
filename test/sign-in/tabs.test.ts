import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SignInAnswer } from '../../local/identity-provider/browser.ts'
import { deskPage, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { expectBegun, expectNothingBegun, linksOf } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterAll(() => stack.close())

interface Tab {
  readonly returnUrl: string
  readonly answer: SignInAnswer
}

/** Tabs of one browser, each with the provider's response, which is not yet sent to the broker. */
async function openTabs(person: Person, returnUrls: readonly string[]): Promise<readonly Tab[]> {
  const tabs: Tab[] = []
  for (const returnUrl of returnUrls) {
    const begun = await person.begin({ frontend: 'shop', return_url: returnUrl })
    expectBegun(begun)
    tabs.push({ returnUrl, answer: await person.atProvider(begun.location ?? '') })
  }
  return tabs
}

const numbered = [1, 2, 3, 4, 5].map((tab) => `http://localhost:3000/orders?tab=${tab}#end`)

describe('several tabs of one browser', () => {
  it('each end at their own return URL, three at once, completed in reverse order', async () => {
    const person = stack.person()
    const tabs = await openTabs(person, numbered.slice(0, 3))

    for (const { answer, returnUrl } of tabs.toReversed()) {
      const done = await person.callback(answer)
      expect(done.status, done.text).toBe(303)
      expect(done.location).toBe(returnUrl)
    }

    expect(Object.keys(await person.cookies())).toEqual(['__Host-session-shop'])
    expect((await person.script(shopPage, '/session')).status).toBe(200)
  })

  it('end at their own return URL if they are the three newest of five; older ones show links to continue', async () => {
    const person = stack.person()
    const tabs = await openTabs(person, numbered)
    const signIns = Object.keys(await person.cookies())
    expect(signIns).toHaveLength(3)

    const replies = []
    for (const { answer } of tabs.toReversed()) replies.push(await person.callback(answer))

    const [fifth, fourth, third, second, first] = replies
    expect([fifth, fourth, third].map((reply) => reply?.location)).toEqual(numbered.slice(2).toReversed())
    for (const old of [second, first]) {
      if (!old) throw new Error('there were five')
      expectNothingBegun(old, 'sign_in_unknown')
      const [again = '', back] = linksOf(old)
      expect(back).toBe('http://localhost:3000/')
      expectBegun(await person.open(again))
    }
    expect((await person.script(shopPage, '/session')).status).toBe(200)
  })

  it('with abandoned sign-ins never block a new sign-in', async () => {
    const person = stack.person()
    for (let i = 0; i < 12; i++) expectBegun(await person.begin({ frontend: 'shop' }))

    expect(Object.keys(await person.cookies())).toHaveLength(3)
    expect((await person.signIn({ frontend: 'shop', return_url: numbered[0] ?? '' })).location).toBe(numbered[0])
  })

  it('with invalid cookies lose those first', async () => {
    const person = stack.person()
    const [tab] = await openTabs(person, numbered.slice(0, 1))
    for (const name of ['__Host-signin-AAAAAAAA', '__Host-signin-BBBBBBBB']) {
      await person.jar.setCookie(`${name}=2026-11.AAAA; Path=/; Secure; SameSite=None`, stack.url)
    }

    const [second] = await openTabs(person, numbered.slice(1, 2))

    for (const { answer, returnUrl } of [second!, tab!])
      expect((await person.callback(answer)).location).toBe(returnUrl)
  })

  it('with three sign-ins of the largest size still send cookies that fit into a request', async () => {
    const person = stack.person()
    const largest = [1, 2, 3].map((tab) => `http://localhost:3000/${tab}${'a'.repeat(1000)}`)
    const tabs = await openTabs(person, largest)

    for (const { answer, returnUrl } of tabs.toReversed())
      expect((await person.callback(answer)).location).toBe(returnUrl)
  })

  it('at two front ends have a session at each, for two different people', async () => {
    const person = stack.person()
    await person.signIn({ frontend: 'shop' }, 'ada@contoso.example')
    await person.visitor.jar.removeAllCookies()
    await person.signIn({ frontend: 'desk' }, 'grace@contoso.example')

    expect((await person.script(shopPage, '/session')).json).toMatchObject({ username: 'ada@contoso.example' })
    expect((await person.script(deskPage, '/session')).json).toMatchObject({ username: 'grace@contoso.example' })
    expect(Object.keys(await person.cookies()).sort()).toEqual(['__Host-session-desk', '__Host-session-shop'])
  })
})

describe('a browser that keeps no cookie of the broker', () => {
  it('shows a sentence about cookies, and on a laptop without TLS about Safari', async () => {
    const begun = await stack.person().begin({ frontend: 'shop' })
    const { fields } = await stack.person().atProvider(begun.location ?? '')
    const state = fields.state ?? ''
    const secure = await stack.startInstance({ Broker__BaseUrl: 'https://localhost:7443' })

    const [onLaptop, elsewhere] = await Promise.all(
      [stack.url, secure.url].map((at) => stack.person().open(`/callback?code=c&state=${state}`, { at })),
    )

    expect(onLaptop?.text).toContain(`Safari stores none of ${stack.url}: use Chrome, Edge or Firefox.`)
    expect(elsewhere?.text).toContain('allow cookies in this browser')
    expect(elsewhere?.text).not.toContain('Safari')
  })
})

import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ada } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { closeVisitors, describeInBrowser, openBrowser } from './chromium.ts'
import { expectText, newVisitor, signInAtProvider, signInByDemo } from './visitor.ts'

describeInBrowser('a person with a browser', () => {
  let stack: Stack
  let browser: Browser
  let demo: string
  beforeAll(async () => {
    ;[stack, browser] = await Promise.all([startStack({ demo: true }), openBrowser()])
    demo = stack.cloud.demoFrontEnd!.url
  })
  afterAll(async () => {
    await closeVisitors(browser)
    await stack.close()
  })

  it('signs in, reads from the API, is still signed in after a reload, and signs out at the provider too', async () => {
    const { tab, context, complaints } = await newVisitor(browser)
    const page = await tab(demo)
    await expectText(page, '#status', 'Signed out')

    await signInByDemo(page, ada)
    expect(page.url()).toBe(demo)
    await expectText(page, '#name', 'Ada Lovelace')

    await page.getByRole('button', { name: 'Show my orders' }).click()
    await expectText(page, '#api-answer', /"scopes": \[\s*"orders.read"/)

    await page.reload()
    await expectText(page, '#name', 'Ada Lovelace')

    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('button', { name: 'Sign in' }).waitFor()
    expect(page.url()).toBe(demo)
    await expectText(page, '#status', 'Signed out')
    expect(await cookieNames(page)).not.toContain('__Host-session-demo')

    await page.getByRole('button', { name: 'Sign in' }).click()
    // The provider shows its form again: its own session has ended too.
    await page.getByLabel('Username').waitFor()
    expect(complaints).toEqual([])
    await context.close()
  })

  it('shows the person of the session in a tab that is visible again, and a sentence for people at its end', async () => {
    const { tab, context } = await newVisitor(browser)
    const page = await tab(demo)
    await signInByDemo(page, ada)
    await page.getByRole('button', { name: 'Show my orders' }).click()
    await page.locator('#api-answer').waitFor()

    await signInAtProvider(await tab(`${stack.url}/login?frontend=demo&prompt=login`), 'grace@contoso.example')
    await expect.poll(() => context.pages().at(-1)!.url()).toBe(demo)
    await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange', { bubbles: true })))
    await expectText(page, '#name', 'Grace Hopper')
    expect(await page.locator('#api-answer').isVisible()).toBe(false)

    await context.clearCookies()
    await page.getByRole('button', { name: 'Show my orders' }).click()
    await expectText(page, '#status', 'Please sign in again.')
    expect(await page.locator('#problem').isVisible()).toBe(false)
    await context.close()
  })

  it('signs in without the form of a provider where the person is already signed in', async () => {
    const { tab, context } = await newVisitor(browser)
    const page = await tab(demo)
    await signInByDemo(page, ada)
    await context.clearCookies({ name: '__Host-session-demo' })

    await page.reload()
    await page.getByRole('button', { name: 'Sign in' }).click()

    await page.getByRole('button', { name: 'Sign out' }).waitFor()
    await expectText(page, '#name', 'Ada Lovelace')
    await context.close()
  })

  it('returns to the same address, including the fragment', async () => {
    const { tab, context } = await newVisitor(browser)
    const page = await tab(`${demo}?page=2&q=%C3%A4#order=17&tab=notes`)

    await signInByDemo(page, ada)

    expect(page.url()).toBe(`${demo}?page=2&q=%C3%A4#order=17&tab=notes`)
    await context.close()
  })

  it.each([
    String.raw`?name=CONTOSO\ada#C:\temp`,
    '?q=a|b^c{d}[e]&f=it%27s%22#/route?x=[1]|{2}^`"<>',
    '?q=日本 ü&r=%zz#€ é',
  ])('returns to exactly the address that the browser showed: %s', async (place) => {
    const { tab, context } = await newVisitor(browser)
    const page = await tab(`${demo}${place}`)
    const shown = await page.evaluate(() => location.href)

    await signInByDemo(page, ada)

    expect(await page.evaluate(() => location.href)).toBe(shown)
    await context.close()
  })

  it('signs in with three tabs at once, and each ends at its own address', async () => {
    const { tab, context } = await newVisitor(browser)
    const places = ['#one', '#two', '#three']
    const tabs: Page[] = []
    for (const place of places) {
      const page = await tab(`${demo}${place}`)
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.getByLabel('Username').waitFor()
      tabs.push(page)
    }

    for (const page of tabs.toReversed()) {
      await signInAtProvider(page, ada)
      await page.getByRole('button', { name: 'Sign out' }).waitFor()
    }

    expect(tabs.map((page) => new URL(page.url()).hash)).toEqual(places)
    for (const page of tabs) {
      await page.reload()
      await expectText(page, '#name', 'Ada Lovelace')
    }
    await context.close()
  })

  it('has cookies that no script reads and no other host sets', async () => {
    const { tab, context } = await newVisitor(browser)
    const page = await tab(demo)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByLabel('Username').waitFor()
    const [underWay, ...others] = await context.cookies(stack.url)
    await signInAtProvider(page, ada)
    await page.getByRole('button', { name: 'Sign out' }).waitFor()
    const [session, ...more] = await context.cookies(stack.url)

    const flags = { domain: 'localhost', path: '/', httpOnly: true, secure: true }
    // SameSite=None, since the provider's form is posted from another site.
    expect(underWay).toMatchObject({ ...flags, sameSite: 'None' })
    expect(underWay?.name).toMatch(/^__Host-signin-/)
    expect(others).toEqual([])
    expect(session).toMatchObject({ ...flags, name: '__Host-session-demo', sameSite: 'Lax', expires: -1 })
    expect(more).toEqual([])
    expect(await page.evaluate(() => [document.cookie, localStorage.length, sessionStorage.length])).toEqual(['', 0, 0])
    await context.close()
  })

  it('leaves no code and no token in any address', async () => {
    const { tab, context } = await newVisitor(browser)
    const addresses: string[] = []
    context.on('request', (request) => addresses.push(request.url()))
    const page = await tab(demo)
    await signInByDemo(page, ada)
    await page.getByRole('button', { name: 'Show my orders' }).click()
    await expectText(page, '#api-answer', /orders/)

    expect(addresses.some((address) => address.includes('/callback'))).toBe(true)
    expect(addresses.filter((address) => /[?&#](code|access_token|id_token)=/.test(address))).toEqual([])
    await context.close()
  })

  it('signs in with scripts disabled, with one more click', async () => {
    const { tab, context } = await newVisitor(browser, { javaScriptEnabled: false })
    const page = await tab(`${stack.url}/login?frontend=demo&return_url=${encodeURIComponent(demo)}`)
    await signInAtProvider(page, ada)
    await page.getByRole('button', { name: 'Continue' }).click()

    await page.waitForURL(demo)
    expect(await cookieNames(page)).toEqual(['__Host-session-demo'])
    await context.close()
  })

  async function cookieNames(page: Page): Promise<readonly string[]> {
    return (await page.context().cookies(stack.url)).map(({ name }) => name)
  }
})

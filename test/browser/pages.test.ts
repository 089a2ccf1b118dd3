import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { besideProviders } from '../setup/beside-providers.ts'
import { ada } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { closeVisitors, describeInBrowser, openBrowser } from './chromium.ts'
import { pictures, takePicture } from './pictures.ts'
import { accessibilityProblems, expectToFitAPhone, newVisitor, signInAtProvider, signInByDemo } from './visitor.ts'

const phone = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, colorScheme: 'dark' } as const
const desktop = { width: 1280, height: 720 }
const beside = besideProviders({
  partner: {},
  guests: { name: 'Guests with a name of the greatest length that one may have here' },
})

describeInBrowser('pages', () => {
  let stack: Stack
  let browser: Browser
  let demo: string
  /** A front end of several providers. */
  let several: Server
  let elsewhere: string
  beforeAll(async () => {
    several = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<h1>Orders</h1>'))
    await new Promise<void>((resolve) => several.listen(0, 'localhost', resolve))
    elsewhere = `http://localhost:${(several.address() as AddressInfo).port}`
    const frontEnds = [{ id: 'several', origins: [elsewhere], providers: ['primary', 'partner', 'guests'], apis: [] }]
    ;[stack, browser] = await Promise.all([
      startStack({ demo: true, telemetry: true, frontEnds, provider: beside.start }),
      openBrowser(),
    ])
    demo = stack.cloud.demoFrontEnd!.url
  })
  afterAll(async () => {
    await closeVisitors(browser)
    several.close()
    await stack.close()
  })

  /** Every page that a person may see, and the steps to open it. */
  const pages: Readonly<Record<string, (page: Page) => Promise<unknown>>> = {
    'the demo, signed out': (page) => page.goto(demo).then(() => page.locator('#sign-in').waitFor()),
    'the demo, signed in, with the answer of the API': async (page) => {
      await page.goto(demo)
      await signInByDemo(page, ada)
      await page.getByRole('button', { name: 'Show my orders' }).click()
      await page.locator('#api-answer').waitFor()
    },
    'the home page': (page) => page.goto(stack.url),
    'a cancelled sign-in': async (page) => {
      await page.goto(`${stack.url}/login?frontend=demo`)
      await page.getByRole('button', { name: 'Cancel' }).click()
      await page.getByRole('heading', { name: 'The sign-in was cancelled.' }).waitFor()
    },
    'the choice of a provider': (page) => page.goto(`${stack.url}/login?frontend=several`),
    'a front end that is not registered': (page) => page.goto(`${stack.url}/login?frontend=nobody`),
    'a parameter that is not accepted': (page) => page.goto(`${stack.url}/login?frontend=demo&colour=blue`),
    'a response to a sign-in that never started': (page) => page.goto(`${stack.url}/callback?state=nobodys&code=none`),
    'a sign-out that never started': (page) => page.goto(`${stack.url}/logout/done?state=nobodys`),
    'the telemetry of the broker': async (page) => {
      await page.goto(`${stack.url}/login?frontend=nobody`)
      const received = () => stack.ingestion.received().map(({ type }) => type)
      await expect.poll(received, { timeout: 60_000 }).toContain('event')
      await page.goto(stack.ingestion.url)
      await page.getByRole('heading', { name: 'What the broker reports' }).waitFor()
    },
    'the sign-in page of the local identity provider': (page) => page.goto(`${stack.url}/login?frontend=demo`),
  }

  // One visit serves both screens: the dark phone first, and then the same page light and wide.
  it.each(Object.entries(pages))(
    '%s is readable on a dark phone and on a light desktop, within its own policy',
    async (_name, visit) => {
      const { context, complaints } = await newVisitor(browser, phone)
      const page = await context.newPage()

      await visit(page)

      expect(await accessibilityProblems(page)).toEqual([])
      await expectToFitAPhone(page)
      await page.setViewportSize(desktop)
      await page.emulateMedia({ colorScheme: 'light' })
      expect(await accessibilityProblems(page)).toEqual([])
      await expectToFitAPhone(page)
      expect(complaints).toEqual([])
      await context.close()
    },
  )

  it('a person chooses a provider by the keyboard, and comes back to the page of the front end', async () => {
    const { context, complaints } = await newVisitor(browser, { viewport: desktop })
    const page = await context.newPage()
    const returnUrl = `${elsewhere}/orders?a=%3Cb%3E&c="d"#part`
    await page.goto(
      `${stack.url}/login?${new URLSearchParams({ frontend: 'several', return_url: returnUrl }).toString()}`,
    )
    expect(await page.title()).toBe('Choose how to sign in')
    // No provider looks as if it were the recommended one.
    const colours = page.getByRole('link').evaluateAll((links) => links.map((link) => getComputedStyle(link).color))
    expect(new Set(await colours).size).toBe(1)

    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('People of partner')
    await page.keyboard.press('Enter')
    await page.waitForURL(`${elsewhere}/**`)

    expect(page.url()).toBe(new URL(returnUrl).href)
    expect(beside.get('partner').asked('token')).toBe(1)
    expect(beside.get('guests').requests).toEqual([])
    // The back button leads to the choice again, and another provider can be chosen.
    await page.goBack()
    await page.getByRole('link', { name: 'Guests with' }).click()
    await page.waitForURL(`${elsewhere}/**`)
    expect(beside.get('guests').asked('token')).toBe(1)
    expect(complaints).toEqual([])
    await context.close()
  })

  // Only on request: UPDATE_SCREENSHOTS=1 npx vitest run test/browser/pages.test.ts
  if (process.env.UPDATE_SCREENSHOTS === '1') {
    it.each(pictures)('$file is created for the README', async (picture) => takePicture(picture, browser, stack))
  }

  it('a violation of the policy is detected', async () => {
    const { context, complaints, tab } = await newVisitor(browser)
    const page = await tab(stack.url)

    await page.evaluate(() => document.body.insertAdjacentHTML('beforeend', '<b style="color: red">planted</b>'))

    await expect.poll(() => complaints.length).toBe(1)
    await context.close()
  })

  it('a cancelled sign-in offers a second attempt, and a link back to the application', async () => {
    const { context } = await newVisitor(browser)
    const cancelled = async () => {
      const page = await context.newPage()
      await page.goto(`${stack.url}/login?frontend=demo&return_url=${encodeURIComponent(`${demo}#cart`)}`)
      await page.getByRole('button', { name: 'Cancel' }).click()
      return page
    }

    const back = await cancelled()
    await back.getByRole('link', { name: 'Back to the application' }).click()
    await back.waitForURL(`${demo}#cart`)

    const again = await cancelled()
    await again.getByRole('link', { name: 'Try again' }).click()
    await signInAtProvider(again, ada)
    await again.waitForURL(`${demo}#cart`)
    await again.locator('#name').filter({ hasText: 'Ada Lovelace' }).waitFor()
    await context.close()
  })

  it('a failed sign-in has the same reference on the page and in the log', async () => {
    const { context } = await newVisitor(browser)
    const page = await context.newPage()
    await page.goto(`${stack.url}/callback?state=nobodys&code=none`)

    const shown = await page.locator('main').innerText()
    const reference = /Reference: ([0-9a-f]{32})/.exec(shown)?.[1]

    expect(reference).toBeDefined()
    expect(stack.log()).toContain(reference)
    await context.close()
  })

  it('a repeated sign-in keeps the person signed in until it is completed', async () => {
    const { context } = await newVisitor(browser)
    const page = await context.newPage()
    await page.goto(demo)
    await signInByDemo(page, ada)

    await page.goto(`${stack.url}/login?frontend=demo&prompt=login&return_url=${encodeURIComponent(demo)}`)
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('link', { name: 'Back to the application' }).click()

    await page.locator('#name').filter({ hasText: 'Ada Lovelace' }).waitFor()
    await context.close()
  })
})

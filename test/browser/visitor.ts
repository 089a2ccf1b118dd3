/** A person with a browser, and the errors that the browser itself reports. */
import axe from 'axe-core'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { expect } from 'vitest'

interface Visitor {
  readonly context: BrowserContext
  /** Messages of the browser about its content security policy, from every tab. */
  readonly complaints: readonly string[]
  readonly tab: (url: string) => Promise<Page>
}

const policyComplaint = /content.security.policy|refused to (load|apply|execute|connect|frame|send)/i

/** A new browser profile, without cookies. */
export async function newVisitor(browser: Browser, options: BrowserContextOptions = {}): Promise<Visitor> {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(60_000)
  const complaints: string[] = []
  context.on('console', (message) => {
    if (policyComplaint.test(message.text())) complaints.push(message.text())
  })
  context.on('weberror', (error) => complaints.push(error.error().message))
  return {
    context,
    complaints,
    tab: async (url) => {
      const page = await context.newPage()
      await page.goto(url)
      return page
    },
  }
}

/** Fills the provider's form, which has no password. */
export async function signInAtProvider(page: Page, username: string): Promise<void> {
  await page.getByLabel('Username').fill(username)
  await page.getByRole('button', { name: 'Sign in and accept' }).click()
}

/** Signs in on the demo front end's page: the button, the provider's form, and the return. */
export async function signInByDemo(page: Page, username: string): Promise<void> {
  await page.getByRole('button', { name: 'Sign in' }).click()
  await signInAtProvider(page, username)
  await page.getByRole('button', { name: 'Sign out' }).waitFor()
}

/** Waits until an element of the page has the text. */
export async function expectText(page: Page, selector: string, text: string | RegExp): Promise<void> {
  await page.locator(selector).filter({ hasText: text }).waitFor()
}

/** The problems that axe-core reports, each with its elements. */
export async function accessibilityProblems(page: Page): Promise<readonly string[]> {
  // The debugging protocol is not subject to the page's policy.
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate(() => (window as unknown as { axe: typeof axe }).axe.run())
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`)
}

/** The page does not overflow the window sideways, and every control is large enough for a finger. */
export async function expectToFitAPhone(page: Page): Promise<void> {
  const { wide, small } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth - window.innerWidth,
    small: [...document.querySelectorAll<HTMLElement>('button, input, a.way')]
      .filter((element) => element.offsetParent !== null && element.getBoundingClientRect().height < 44)
      .map((element) => element.outerHTML),
  }))
  expect({ wide: Math.max(0, wide), small }).toEqual({ wide: 0, small: [] })
}

import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { localDefaults } from '../../local/local-defaults.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { closeVisitors, describeInBrowser, openBrowser } from './chromium.ts'
import { accessibilityProblems, expectToFitAPhone, newVisitor, signInAtProvider, signInByDemo } from './visitor.ts'

const [rosalind, francis] = ['rosalind@fabrikam.example', 'francis@fabrikam.example']

describeInBrowser('an organization with a browser', () => {
  let stack: Stack
  let browser: Browser
  let demo: string
  beforeAll(async () => {
    const settings = {
      AzureAd__TenantId: 'organizations',
      Broker__HomeTenantId: localDefaults.AzureAd__TenantId,
      Broker__Tenants: 'signed-up',
    }
    ;[stack, browser] = await Promise.all([startStack({ demo: true, settings }), openBrowser()])
    demo = stack.cloud.demoFrontEnd!.url
  })
  afterAll(async () => {
    await closeVisitors(browser)
    await stack.close()
  })

  const titleOf = (page: Page) => page.locator('h1').textContent()

  it('has no access before its administrator signs it up, and has it afterwards', async () => {
    const phone = { viewport: { width: 375, height: 667 } }
    const { tab, context, complaints } = await newVisitor(browser, phone)
    const page = await tab(demo)

    await page.getByRole('button', { name: 'Sign in' }).click()
    await signInAtProvider(page, francis)
    await page.waitForURL(`${stack.url}/callback`)
    expect(await titleOf(page)).toBe('Your organization has no access to this application.')
    expect(await accessibilityProblems(page)).toEqual([])
    await expectToFitAPhone(page)

    // The administrator, at the same machine, signs the organization up.
    await page.goto(`${stack.url}/signup?frontend=demo&return_url=${encodeURIComponent(demo)}`)
    await signInAtProvider(page, rosalind)
    await page.getByRole('button', { name: 'Accept' }).click()
    // The provider still knows the browser by the first account, so the administrator selects the own one.
    await page.getByText('Pick an account').waitFor()
    await signInAtProvider(page, rosalind)
    await page.waitForURL(demo)
    await page.getByRole('button', { name: 'Sign out' }).waitFor()
    expect(await page.locator('#name').textContent()).toBe('Rosalind Franklin')
    expect(complaints).toEqual([])
    await context.close()

    const other = await newVisitor(browser)
    const theirs = await other.tab(demo)
    await signInByDemo(theirs, francis)
    expect(await theirs.locator('#name').textContent()).toBe('Francis Crick')
    await theirs.getByRole('button', { name: 'Show my orders' }).click()
    await theirs.getByText('orders.read').waitFor()
    await other.context.close()
  })

  it('is not signed up by a person who is no administrator, and the page leads back', async () => {
    const { tab, context } = await newVisitor(browser)
    const page = await tab(`${stack.url}/signup?frontend=demo`)
    await signInAtProvider(page, 'lise@litware.example')
    await page.getByRole('button', { name: 'Accept' }).click()
    await page.waitForURL(/\/organizations\/login\//)
    await signInAtProvider(page, 'otto@litware.example')

    await page.waitForURL(`${stack.url}/callback`)
    expect(await titleOf(page)).toBe('You may not sign your organization up.')
    expect(await accessibilityProblems(page)).toEqual([])
    await page.getByRole('link', { name: 'Back to the application' }).click()
    await page.waitForURL(demo)
    await context.close()
  })
})

/** The pictures of the README. Written only when asked for: UPDATE_SCREENSHOTS=1 npx vitest run test/browser/screenshots */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { ada } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { describeInBrowser, openBrowser } from './chromium.ts'
import { newVisitor, signInByDemo } from './visitor.ts'

const folder = path.join(import.meta.dirname, '../../docs/images')
const phone = { viewport: { width: 360, height: 640 }, deviceScaleFactor: 1.5, isMobile: true, hasTouch: true } as const
const desktop = { viewport: { width: 900, height: 640 } } as const

describe.runIf(process.env.UPDATE_SCREENSHOTS === '1')('pictures', () => {
  describeInBrowser('of the demo', () => {
    let stack: Stack
    let browser: Browser
    beforeAll(async () => {
      ;[stack, browser] = await Promise.all([startStack({ demo: true }), openBrowser()])
      await mkdir(folder, { recursive: true })
    })
    afterAll(async () => {
      await browser.close()
      await stack.close()
    })

    it.each([
      ['signed-in.png', desktop, signedIn],
      ['signed-in-phone.png', phone, signedIn],
      ['sign-in-phone.png', phone, atProvider],
      ['cancelled-phone.png', { ...phone, colorScheme: 'dark' }, cancelled],
    ] as const)('%s', async (file, screen, visit) => {
      const { context } = await newVisitor(browser, { ...screen, locale: 'en-GB', timezoneId: 'UTC' })
      const page = await context.newPage()
      await visit(page)
      await page.screenshot({ path: path.join(folder, file), animations: 'disabled' })
      await context.close()
    })

    async function signedIn(page: Page): Promise<void> {
      await page.goto(stack.cloud.demoFrontEnd!.url)
      await signInByDemo(page, ada)
      await page.getByRole('button', { name: 'Show my orders' }).click()
      await page.locator('#api-answer').waitFor()
    }

    async function atProvider(page: Page): Promise<void> {
      await page.goto(`${stack.url}/login?frontend=demo`)
      await page.getByLabel('Username').fill(ada)
    }

    async function cancelled(page: Page): Promise<void> {
      await page.goto(`${stack.url}/login?frontend=demo`)
      await page.getByRole('button', { name: 'Cancel' }).click()
      await page.getByRole('link', { name: 'Try again' }).waitFor()
    }
  })
})

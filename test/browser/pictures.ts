/** The pictures of the README. */
import path from 'node:path'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { ada } from '../setup/person.ts'
import type { Stack } from '../setup/stack.ts'
import { newVisitor, signInByDemo } from './visitor.ts'

interface Picture {
  readonly file: string
  readonly screen: BrowserContextOptions
  readonly visit: (page: Page, stack: Stack) => Promise<void>
}

const folder = path.join(import.meta.dirname, '../../docs/images')
const desktop = { viewport: { width: 900, height: 640 } }
const phone = { viewport: { width: 360, height: 640 }, deviceScaleFactor: 1.5, isMobile: true, hasTouch: true }

export const pictures: readonly Picture[] = [
  { file: 'signed-in.png', screen: desktop, visit: signedIn },
  { file: 'signed-in-phone.png', screen: phone, visit: signedIn },
  { file: 'cancelled-phone.png', screen: { ...phone, colorScheme: 'dark' }, visit: cancelled },
]

export async function takePicture({ file, screen, visit }: Picture, browser: Browser, stack: Stack): Promise<void> {
  const { context } = await newVisitor(browser, { ...screen, locale: 'en-GB', timezoneId: 'UTC' })
  const page = await context.newPage()
  await visit(page, stack)
  await page.screenshot({ path: path.join(folder, file), animations: 'disabled' })
  await context.close()
}

async function signedIn(page: Page, stack: Stack): Promise<void> {
  await page.goto(stack.cloud.demoFrontEnd!.url)
  await signInByDemo(page, ada)
  await page.getByRole('button', { name: 'Show my orders' }).click()
  await page.locator('#api-answer').waitFor()
}

async function cancelled(page: Page, stack: Stack): Promise<void> {
  await page.goto(`${stack.url}/login?frontend=demo`)
  await page.getByRole('button', { name: 'Cancel' }).click()
  await page.getByRole('link', { name: 'Try again' }).waitFor()
}

/** Next.js with the broker on its host: the files of docs/one-host.md, built and run. */
import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { buildPackage } from '../../tools/browser-client.ts'
import { closeVisitors, describeInBrowser, openBrowser } from '../browser/chromium.ts'
import { newVisitor, signInAtProvider } from '../browser/visitor.ts'
import { ada } from '../setup/person.ts'
import { startApplication } from './application-process.ts'
import type { ApplicationProcess } from './application-process.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { ownPort } from '../setup/own-port.ts'

const root = path.join(import.meta.dirname, '../..')
/** Beside the packages, which Next.js resolves from here. */
const project = path.join(import.meta.dirname, '.next-recipe')
const next = path.join(import.meta.dirname, 'node_modules/next/dist/bin/next')

const layout = `export default function Layout({ children }: { children: React.ReactNode }) {
  return <html lang="en"><body>{children}</body></html>
}
`

describeInBrowser('Next.js by docs/one-host.md', () => {
  let stack: Stack
  let url: string
  let application: ApplicationProcess | undefined
  beforeAll(async () => {
    url = `http://localhost:${await ownPort()}`
    let broker = ''
    stack = await startStack({
      baseUrl: (brokerUrl) => {
        broker = brokerUrl
        return Promise.resolve(`${url}/auth`)
      },
      frontEnds: [{ id: 'shop', origins: [url], apis: [{ name: 'orders', scopes: ['api://demo/orders.read'] }] }],
    })
    const env = {
      ...process.env,
      NODE_ENV: 'production',
      NEXT_TELEMETRY_DISABLED: '1',
      BROKER: broker,
      NEXT_PUBLIC_URL: url,
    } as const
    await writeProject()
    await promisify(execFile)(process.execPath, [next, 'build'], { cwd: project, env })
    application = await startApplication(
      [process.execPath, next, 'start', '--port', new URL(url).port, '--hostname', 'localhost'],
      { cwd: project, env },
      'Ready',
    )
  })
  afterAll(async () => {
    application?.end()
    await closeVisitors(await openBrowser())
    await stack.close()
    await rm(project, { recursive: true, force: true })
  })

  it('signs in and out through its rewrites, and renders the name of the person on the server', async () => {
    const { context, tab } = await newVisitor(await openBrowser())
    const page = await tab(`${url}/`)
    expect(await renderedFor(context)).toContain('stranger')

    await page.getByRole('button', { name: 'Sign in' }).click()
    await signInAtProvider(page, ada)
    await page.waitForURL(`${url}/`)
    await page.getByRole('button', { name: 'Sign out' }).waitFor()
    expect(await renderedFor(context)).toContain('Ada Lovelace')

    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('button', { name: 'Sign in' }).waitFor()
    expect(await renderedFor(context)).toContain('stranger')
    await context.close()
  })

  /** The page as the server sends it, without its scripts. */
  async function renderedFor(context: { cookies: (of: string) => Promise<{ name: string; value: string }[]> }) {
    const cookies = await context.cookies(url)
    const answer = await fetch(url, {
      headers: { cookie: cookies.map(({ name, value }) => `${name}=${value}`).join('; ') },
    })
    return /<h1>(.*?)<\/h1>/.exec(await answer.text())?.[1]
  }
})

/** The files of the documentation, a layout, and the browser library as a package. */
async function writeProject(): Promise<void> {
  const docs = await readFile(path.join(root, 'docs/one-host.md'), 'utf8')
  const files = [...docs.matchAll(/^`(next\.config\.ts|app\/[\w.]+)`:\n\n```tsx?\n([\s\S]*?)```/gm)]
  expect(files.map(([, name]) => name)).toEqual(['next.config.ts', 'app/page.tsx', 'app/account.tsx'])
  for (const [, , text] of files) expect(text!.trim().split('\n').length).toBeLessThan(30)
  await rm(project, { recursive: true, force: true })
  await mkdir(path.join(project, 'app'), { recursive: true })
  const library = path.join(project, 'node_modules/certificate-token-broker-client')
  await buildPackage()
  await cp(path.join(root, 'browser-client/package.json'), path.join(library, 'package.json'))
  await cp(path.join(root, 'browser-client/dist'), path.join(library, 'dist'), { recursive: true })
  await writeFile(path.join(project, 'package.json'), '{ "private": true, "type": "module" }')
  await writeFile(path.join(project, 'app/layout.tsx'), layout)
  for (const [, name, text] of files) await writeFile(path.join(project, name!), text!)
}

/** The browser of these tests: an installed Chromium, driven by playwright-core, which downloads none. */
import { chromium } from 'playwright-core'
import type { Browser } from 'playwright-core'
import { describe } from 'vitest'
import { findChromium } from '../setup/programs.ts'

const found = findChromium()

/** Tests in a browser; without one they are skipped, and the summary of `npm test` names the program. */
export function describeInBrowser(name: string, tests: () => void): void {
  describe.skipIf(found === undefined)(name, tests)
}

/** The browser of this worker. playwright-core ends it with the process. */
let opened: Promise<Browser> | undefined

/** Returns the one browser of the worker, which serves every file. A file ends with `closeVisitors`. */
export async function openBrowser(): Promise<Browser> {
  return (opened ??= launchBrowser())
}

/** Closes the profiles that a file opened, also those of a test that failed. The browser stays for the next file. */
export async function closeVisitors(browser: Browser): Promise<void> {
  await Promise.all(browser.contexts().map((context) => context.close()))
}

/** A browser of one file, which closes it; for further arguments of Chromium. */
export async function launchBrowser(args: readonly string[] = []): Promise<Browser> {
  if (found === undefined) throw new Error('There is no browser.')
  return chromium.launch({
    executablePath: found,
    args: [
      // Chromium's sandbox refuses to run as root, which a build machine often is.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...args,
    ],
  })
}

/** The browser of these stories: an installed Chromium, driven by playwright-core, which downloads none. */
import { accessSync, constants, existsSync } from 'node:fs'
import path from 'node:path'
import { chromium } from 'playwright-core'
import type { Browser } from 'playwright-core'
import { describe } from 'vitest'

const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome']
const places = [
  ...(process.env.PATH ?? '').split(path.delimiter).flatMap((folder) => names.map((name) => path.join(folder, name))),
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

/** Where the browser is: CHROMIUM_PATH, or the usual places. A CHROMIUM_PATH that names no program is a mistake. */
function findChromium(): string | undefined {
  const named = process.env.CHROMIUM_PATH
  if (named === undefined || named === '') return places.find(isProgram)
  if (!isProgram(named)) throw new Error('CHROMIUM_PATH does not name a program.')
  return named
}

function isProgram(file: string): boolean {
  if (!existsSync(file)) return false
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const found = findChromium()

/** A story told in a browser; without one it is skipped, and says so. */
export function describeInBrowser(name: string, tell: () => void): void {
  if (found === undefined) {
    console.warn(`Skipped, no browser here: ${name}. Install Chromium (apt-get install chromium) or set CHROMIUM_PATH.`)
  }
  describe.skipIf(found === undefined)(name, tell)
}

export async function openBrowser(): Promise<Browser> {
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
    ],
  })
}

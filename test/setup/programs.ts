/** Programs that some tests need and npm does not install: where they are, and how to get them. */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

interface Program {
  readonly name: string
  /** Path below test/ of the tests that are skipped without it. */
  readonly tests: string
  readonly howToGet: string
  readonly isThere: () => boolean
}

export const programs: readonly Program[] = [
  {
    name: 'a browser',
    tests: 'browser',
    howToGet: 'apt-get install chromium-headless-shell (or chromium), or name a Chromium or Chrome by CHROMIUM_PATH',
    isThere: () => findChromium() !== undefined,
  },
  {
    name: 'the Bicep compiler',
    tests: 'infra',
    howToGet: 'sh infra/get-bicep.sh (needs dotnet), or az bicep install',
    isThere: () => findBicep() !== undefined,
  },
  {
    name: 'Azure Functions Core Tools',
    tests: 'core-tools',
    howToGet: 'npm install --global azure-functions-core-tools@4',
    isThere: () => hasCoreTools(),
  },
  {
    name: 'the .NET SDK 10 or later, with ASP.NET Core',
    tests: 'clients',
    howToGet: 'https://learn.microsoft.com/dotnet/core/install/, or apt-get install dotnet-sdk-10.0',
    isThere: () => hasDotnet(),
  },
]

const folders = (process.env.PATH ?? '').split(path.delimiter)

/** The headless shell first: the same engine without the browser around it, for less than half of the CPU time. */
const browsers = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome']
const browserPlaces = [
  ...browsers.flatMap((name) => folders.map((folder) => path.join(folder, name))),
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
]

/**
 * CHROMIUM_PATH, or the usual places.
 *
 * @throws where CHROMIUM_PATH names no program
 */
export function findChromium(): string | undefined {
  const named = process.env.CHROMIUM_PATH
  if (named === undefined || named === '') return browserPlaces.find(isProgram)
  if (!isProgram(named)) throw new Error('CHROMIUM_PATH does not name a program.')
  return named
}

/** Searches the PATH, and the folders of az, azd and infra/get-bicep.sh. */
export function findBicep(): string | undefined {
  const packages = process.env.NUGET_PACKAGES ?? path.join(os.homedir(), '.nuget', 'packages')
  const places = [
    ...folders,
    path.join(os.homedir(), '.azure', 'bin'),
    path.join(os.homedir(), '.azd', 'bin'),
    ...['linux-x64', 'linux-arm64', 'osx-x64', 'osx-arm64'].map((platform) =>
      path.join(packages, `azure.bicep.commandline.${platform}`, '0.49.2', 'tools'),
    ),
  ]
  const executable = process.platform === 'win32' ? 'bicep.exe' : 'bicep'
  return places.map((folder) => path.join(folder, executable)).find((file) => existsSync(file))
}

/** npm leaves a `func` that ends with an error where its download failed. */
export function hasCoreTools(): boolean {
  return spawnSync('func', ['--version'], { shell: process.platform === 'win32' }).status === 0
}

/** The SDK and the shared framework of ASP.NET Core, which the application of test/clients is built with. */
export function hasDotnet(): boolean {
  // Without the program there is no output: null.
  const list = (what: string) => String(spawnSync('dotnet', [what]).stdout)
  return /^Microsoft\.AspNetCore\.App 1\d\./m.test(list('--list-runtimes')) && /^1\d\./m.test(list('--list-sdks'))
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

/** Runs one hook: reads azd's environment, does the work, prints a report. */
import path from 'node:path'
import { createInterface } from 'node:readline/promises'
import { wait } from '../../shared/async/deadline.ts'
import { createDeployerCredential } from '../../tools/certificate/deployer-credential.azure-identity.ts'
import { readAzdEnvironment } from './azd.ts'
import type { Clock } from './clock.ts'
import { createCloud } from './cloud.ts'
import type { HookContext } from './context.ts'
import { postdeploy, predeploy } from './deploy.ts'
import { postdown, predown } from './down.ts'
import { outputs } from './outputs.ts'
import { postprovision } from './postprovision.ts'
import { preprovision } from './preprovision.ts'
import { createReport, printable } from './report.ts'
import { HookStop } from './stop.ts'

type Hook = (context: HookContext) => Promise<void>

/** By the name that start.mjs receives. azd runs all except outputs, which is for a deployment without azd. */
export const hooks: Readonly<Record<string, Hook>> = {
  outputs,
  preprovision,
  postprovision,
  predeploy,
  postdeploy,
  predown,
  postdown,
}

const systemClock: Clock = { now: () => Date.now(), wait: (milliseconds) => wait(milliseconds) }

/** @returns the exit code; every code except 0 stops azd */
export async function run(name: string): Promise<number> {
  const report = createReport()
  try {
    const projectFolder = path.join(import.meta.dirname, '..', '..')
    const environment = await readAzdEnvironment(process.env, projectFolder)
    const credential = createDeployerCredential()
    return await runHook(name, {
      environment,
      projectFolder,
      cloud: createCloud(environment, { credential, clock: systemClock }),
      credential,
      clock: systemClock,
      report,
      ask: process.stdin.isTTY ? askOnTerminal : undefined,
    })
  } catch (error) {
    return fail(name, error, console.error)
  }
}

/** The same with all dependencies as arguments. @param printError prints the sentence that a hook stops with */
export async function runHook(
  name: string,
  context: HookContext,
  printError: (text: string) => void = console.error,
): Promise<number> {
  const { report } = context
  try {
    const hook = hooks[name]
    if (!hook) throw new HookStop(`There is no hook ${name}.`)
    await hook(context)
    report.print(`${name}:`)
    return 0
  } catch (error) {
    report.print(`${name}, until it stopped:`)
    return fail(name, error, printError)
  }
}

function fail(name: string, error: unknown, printError: (text: string) => void): number {
  if (error instanceof HookStop) printError(printable(`\n${error.message}`))
  else if (isSystemError(error)) {
    printError(printable(`\n${name} stopped: ${error.message}. Correct it, and run the command again.`))
  } else printError(`\n${name} failed unexpectedly. Run it again: finished steps are not repeated.\n${describe(error)}`)
  return 1
}

/** A file that cannot be written, for example: its message names the file and the reason. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

async function askOnTerminal(question: string): Promise<string> {
  const questions = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return await questions.question(question)
  } finally {
    questions.close()
  }
}

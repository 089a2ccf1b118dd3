/** Runs one hook: reads azd's environment, does the work, prints what was done. */
import { readAzdEnvironment } from './azd.ts'
import type { AzdEnvironment } from './azd.ts'
import { createCloud } from './cloud.ts'
import type { Cloud } from './cloud.ts'
import { postdown, predown } from './down.ts'
import { postprovision } from './postprovision.ts'
import { preprovision } from './preprovision.ts'
import { createReport } from './report.ts'
import type { Report } from './report.ts'
import { HookStop } from './stop.ts'

type Hook = (environment: AzdEnvironment, connect: () => Cloud, report: Report) => void | Promise<void>

const hooks: Readonly<Record<string, Hook>> = {
  preprovision,
  postprovision,
  predown: (environment, _connect, report) => predown(environment, report),
  postdown,
}

/** @returns the exit code; anything but 0 stops azd */
export async function run(name: string): Promise<number> {
  const report = createReport()
  try {
    const environment = await readAzdEnvironment()
    const connect = () => createCloud(Object.fromEntries(environment.entries()))
    await hooks[name]?.(environment, connect, report)
    report.print(`${name}:`)
    return 0
  } catch (error) {
    report.print(`${name}, until it stopped:`)
    if (error instanceof HookStop) console.error(`\n${error.message}`)
    else console.error(`\n${name} failed unexpectedly; repeat it, nothing is done twice.`, error)
    return 1
  }
}

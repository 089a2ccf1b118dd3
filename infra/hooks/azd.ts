/** The azd environment: read whole, changed one variable at a time. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { HookStop } from './stop.ts'

export interface AzdEnvironment {
  get(name: string): string | undefined
  /** All variables that azd keeps, without those of the machine. */
  entries(): readonly (readonly [string, string])[]
  set(name: string, value: string): Promise<void>
}

const run = promisify(execFile)

/** @throws {HookStop} when azd isn't there, or has no environment */
export async function readAzdEnvironment(): Promise<AzdEnvironment> {
  // azd tells its hooks which environment this is about; without it, the one that is selected.
  const chosen = process.env['AZURE_ENV_NAME'] ? ['--environment', process.env['AZURE_ENV_NAME']] : []
  const azd = async (...args: readonly string[]) => {
    try {
      return (await run('azd', [...args, ...chosen, '--no-prompt'])).stdout
    } catch (cause) {
      throw new HookStop(
        `azd ${args.slice(0, 2).join(' ')} failed. Is azd installed, and is there an environment (azd env new)?`,
        {
          cause,
        },
      )
    }
  }
  const values = new Map(
    Object.entries(JSON.parse(await azd('env', 'get-values', '--output', 'json')) as object),
  ) as Map<string, string>

  return {
    get: (name) => values.get(name) || undefined,
    entries: () => [...values],
    set: async (name, value) => {
      if (values.get(name) === value) return
      await azd('env', 'set', name, value)
      values.set(name, value)
    },
  }
}

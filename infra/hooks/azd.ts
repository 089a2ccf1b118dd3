/** The azd environment: read whole, changed one variable at a time. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { HookStop } from './stop.ts'

export interface AzdEnvironment {
  /** What azd keeps, or else what the machine says, which is where a pipeline has its variables. */
  get(name: string): string | undefined
  /** All variables that azd keeps, and those of the machine that are meant for it. */
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
    get: (name) => values.get(name) || process.env[name] || undefined,
    entries: () => [...Object.entries(process.env).filter(isOurs), ...values],
    set: async (name, value) => {
      if (values.get(name) === value) return
      await azd('env', 'set', name, value)
      values.set(name, value)
    },
  }
}

function isOurs(variable: [string, string | undefined]): variable is [string, string] {
  return /^(AZURE|BROKER)_/.test(variable[0]) && variable[1] !== undefined && variable[1] !== ''
}

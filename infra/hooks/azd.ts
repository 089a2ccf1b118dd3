/** The azd environment: read whole, changed one variable at a time. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { HookStop } from './stop.ts'

/** A reader of single variables, as `AzdEnvironment` is one. */
export type Variables = Pick<AzdEnvironment, 'get'>

export interface AzdEnvironment {
  /** The value that azd stores, or else the machine's, where a pipeline has its variables. Empty counts as not set. */
  get(name: string): string | undefined
  /** The variables that azd stores in its .env file. */
  stored(): readonly (readonly [string, string])[]
  set(name: string, value: string): Promise<void>
}

const run = promisify(execFile)

/**
 * @param projectFolder root of the project: a person may run a hook in another folder
 * @throws {HookStop} when azd is not installed, or has no environment
 */
export async function readAzdEnvironment(
  machine: Readonly<Record<string, string | undefined>>,
  projectFolder: string,
): Promise<AzdEnvironment> {
  // azd stores the name of the environment in it; without the variable it is the selected environment.
  const chosen = machine['AZURE_ENV_NAME'] ? ['--environment', machine['AZURE_ENV_NAME']] : []
  const azd = async (...args: readonly string[]) => {
    try {
      return (await run('azd', [...args, ...chosen, '--no-prompt'], { cwd: projectFolder, maxBuffer: 8 * 1024 * 1024 }))
        .stdout
    } catch (cause) {
      throw new HookStop(failureOf(args.slice(0, 2).join(' '), cause), { cause })
    }
  }
  const values = JSON.parse(await azd('env', 'get-values', '--output', 'json')) as Record<string, string>
  return createAzdEnvironment(values, machine, async (name, value) => {
    await azd('env', 'set', name, value)
  })
}

function failureOf(command: string, cause: unknown): string {
  const { code, stderr = '' } = cause as { readonly code?: unknown; readonly stderr?: string }
  if (code === 'ENOENT') return 'azd is not installed, or not on the PATH. docs/deploy.md names the version.'
  const reason = stderr
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(0, 3)
    .join(' ')
  return `azd ${command} failed. Is there an environment (azd env new shop-dev)? ${reason}`.trimEnd()
}

/** @param store writes one variable to azd; called only where the value changes */
export function createAzdEnvironment(
  stored: Readonly<Record<string, string>>,
  machine: Readonly<Record<string, string | undefined>>,
  store: (name: string, value: string) => Promise<void>,
): AzdEnvironment {
  const values = new Map(Object.entries(stored))
  return {
    get: (name) => values.get(name) || machine[name] || undefined,
    stored: () => [...values],
    set: async (name, value) => {
      if ((values.get(name) ?? '') === value) return
      await store(name, value)
      values.set(name, value)
    },
  }
}

/**
 * The command line of an operator's command: its arguments, the errors of a wrong use, its exit code,
 * and the azd environment.
 */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { parseArgs, promisify } from 'node:util'
import type { ParseArgsOptionsConfig } from 'node:util'
import { LocalError } from '../../local/http-server.ts'
import { findSettingsFile } from '../../local/settings-file.ts'

/** The options that every command has. */
const everywhere = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const

/**
 * Parses the arguments of `npm run COMMAND -- …`.
 *
 * @param command the npm script
 * @param options of the command alone, without `--json` and `--help`
 * @param most the most arguments that are no option
 * @throws {LocalError} with the exit code 2, and the usage's command
 */
export function parseCommand<Options extends ParseArgsOptionsConfig>(
  command: string,
  args: readonly string[],
  options: Options,
  most: number,
) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { ...options, ...everywhere },
    })
    if (positionals.length > most) throw new Error(`${positionals[most] ?? ''} is an unexpected argument`)
    return { values, positionals }
  } catch (error) {
    throw wrongUse((error as Error).message, command)
  }
}

/**
 * Refuses options that have no effect on an action: a person would rely on them.
 *
 * @param values of `parseCommand`
 * @param allowed names of the options of this action, without `json` and `help`
 * @throws {LocalError} with the exit code 2
 */
export function refuseOtherOptions(
  values: Readonly<Record<string, unknown>>,
  allowed: readonly string[],
  { command, action }: { readonly command: string; readonly action: string },
): void {
  const other = Object.keys(values).find((name) => !allowed.includes(name) && !Object.hasOwn(everywhere, name))
  if (other !== undefined) throw wrongUse(`${action} has no option --${other}`, command)
}

/** @param command the npm script */
export function wrongUse(problem: string, command: string): LocalError {
  return new LocalError(`${problem.replace(/\.$/, '')}. For usage, run: npm run ${command} -- --help`, 2)
}

/**
 * Runs the command, and prints the error that ends it.
 *
 * @returns the exit code: 1 for a failure, 2 for a wrong use
 */
export async function exitCodeOf(command: () => Promise<number>): Promise<number> {
  try {
    return await command()
  } catch (error) {
    console.error(error instanceof LocalError ? error.message : `The request failed: ${String(error)}`)
    return error instanceof LocalError ? error.exitCode : 1
  }
}

/** @returns the values of local.settings.json; undefined where there is none */
export function readSettingsFile(): ReturnType<typeof findSettingsFile> {
  return findSettingsFile(path.join(import.meta.dirname, '..', '..', 'local.settings.json'))
}

/** @returns the variables of the selected azd environment; none without azd */
export async function readAzdValues(): Promise<Readonly<Record<string, string | undefined>>> {
  try {
    const { stdout } = await promisify(execFile)('azd', ['env', 'get-values', '--output', 'json', '--no-prompt'])
    return JSON.parse(stdout) as Readonly<Record<string, string | undefined>>
  } catch {
    return {}
  }
}

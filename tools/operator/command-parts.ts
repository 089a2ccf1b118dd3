/** The parts of an operator's command on this machine: environment, settings file, azd and az. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { proxyPolicyOf } from '../../shared/outbound/proxy.ts'
import { exitCodeOf, readAzdValues, readSettingsFile } from './command-line.ts'
import type { CommandParts } from './operator-access.ts'

const run = promisify(execFile)

const parts: CommandParts = {
  environment: process.env,
  settingsFile: readSettingsFile,
  azdValues: readAzdValues,
  // The arguments name resources only; the key is in the output.
  readKey: async ({ functionApp, resourceGroup }) => {
    const of = ['--name', functionApp, '--resource-group', resourceGroup]
    const query = ['--query', 'functionKeys.default', '--output', 'tsv']
    const command = ['functionapp', 'keys', 'list', ...of, ...query]
    // On Windows az is a .cmd file, which only a shell can run, and a shell would read more than a name in these names.
    const shell = process.platform === 'win32'
    if (shell && !of.every((text) => /^[\w.-]+$/.test(text))) throw new Error('a name that a shell would not pass on')
    return (await run('az', command, { shell })).stdout.trim()
  },
  proxies: proxyPolicyOf(process.env),
  print: (line) => console.log(line),
}

/** Runs a command with the parts of this machine. @returns the exit code */
export function runCommand(
  command: (args: readonly string[], parts: CommandParts) => Promise<number>,
): Promise<number> {
  return exitCodeOf(() => command(process.argv.slice(2), parts))
}

/** The parts of an operator's command on this machine: environment, settings file, azd and az. */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { LocalError } from '../../local/http-server.ts'
import { findSettingsFile } from '../../local/settings-file.ts'
import { proxyPolicyOf } from '../../shared/outbound/proxy.ts'
import type { CommandParts } from './operator-access.ts'

const run = promisify(execFile)

const parts: CommandParts = {
  environment: process.env,
  settingsFile: () => findSettingsFile(path.join(import.meta.dirname, '..', '..', 'local.settings.json')),
  azdValues: async () => {
    const { stdout } = await run('azd', ['env', 'get-values', '--output', 'json', '--no-prompt'])
    return JSON.parse(stdout) as Record<string, string>
  },
  // The arguments name resources only; the key is in the output.
  readKey: async ({ functionApp, resourceGroup }) => {
    const of = ['--name', functionApp, '--resource-group', resourceGroup]
    const query = ['--query', 'functionKeys.default', '--output', 'tsv']
    return (await run('az', ['functionapp', 'keys', 'list', ...of, ...query])).stdout.trim()
  },
  proxies: proxyPolicyOf(process.env),
  print: (line) => console.log(line),
}

/** Runs a command with the parts of this machine. @returns the exit code */
export function runCommand(
  command: (args: readonly string[], parts: CommandParts) => Promise<number>,
): Promise<number> {
  return command(process.argv.slice(2), parts).catch((error: unknown) => {
    console.error(error instanceof LocalError ? error.message : `The request failed: ${String(error)}`)
    return error instanceof LocalError ? error.exitCode : 1
  })
}

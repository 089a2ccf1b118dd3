/** `npm run sessions -- list|end`: lists or ends sessions by the operator's route of the broker. */
import { execFile } from 'node:child_process'
import path from 'node:path'
import { promisify } from 'node:util'
import { LocalError } from '../../local/http-server.ts'
import { findSettingsFile } from '../../local/settings-file.ts'
import { proxyPolicyOf } from '../../shared/outbound/proxy.ts'
import { runSessionsCommand } from './sessions-command.ts'

const run = promisify(execFile)

process.exitCode = await runSessionsCommand(process.argv.slice(2), {
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
}).catch((error: unknown) => {
  console.error(error instanceof LocalError ? error.message : `The request failed: ${String(error)}`)
  return error instanceof LocalError ? error.exitCode : 1
})

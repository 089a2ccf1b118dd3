/**
 * `npm run tenants -- list|add|suspend|resume|remove`: tenants that signed up, by the operator's route of the broker.
 */
import { runCommand } from '../operator/command-parts.ts'
import { runTenantsCommand } from './tenants-command.ts'

process.exitCode = await runCommand(runTenantsCommand)

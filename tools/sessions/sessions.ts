/** `npm run sessions -- list|end`: lists or ends sessions by the operator's route of the broker. */
import { runCommand } from '../operator/command-parts.ts'
import { runSessionsCommand } from './sessions-command.ts'

process.exitCode = await runCommand(runSessionsCommand)

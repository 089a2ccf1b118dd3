/** Around `azd deploy`: waits until the upload is allowed, and makes sure that Azure lists the deployed functions. */
import { readConfigurationOf } from './configuration.ts'
import type { HookContext } from './context.ts'
import { namesOf } from './names.ts'
import { readParameters } from './parameters.ts'
import { waitForFunction, waitForRoles } from './passes.ts'
import { stopFor } from './stop.ts'

async function findNames(context: HookContext) {
  const file = await readConfigurationOf(context)
  if (file.problems.length > 0) throw stopFor(file.problems, file.name)
  return namesOf(context.environment, file.configuration)
}

/** @throws {HookStop} where an upload cannot succeed */
export async function predeploy(context: HookContext): Promise<void> {
  await waitForRoles(context, await findNames(context))
}

/** @throws {HookStop} where the deployed functions do not appear */
export async function postdeploy(context: HookContext): Promise<void> {
  const { environment, report } = context
  const names = await findNames(context)
  // First the mark: an interrupted wait must not lose that code was deployed.
  await environment.set('BROKER_CODE_DEPLOYED', names.functionApp)
  await waitForFunction(context, names)
  report.row('Functions', 'listed by Azure')
  if (readParameters(environment).deploymentPass !== 'second') {
    report.todo('azd up continues with the second provisioning. After azd deploy alone, run azd provision.')
  }
}

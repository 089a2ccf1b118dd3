/**
 * For a team with one resource group: the parameters as a file that `az deployment group create` reads, and the outputs
 * of that deployment back into azd's environment. With a subscription azd does both.
 */
import { causeOf } from './cloud.ts'
import { readConfigurationOf } from './configuration.ts'
import { groupPath } from './context.ts'
import type { HookContext } from './context.ts'
import { namesOf } from './names.ts'
import type { Parameters } from './parameters.ts'
import { writeCommandFile } from './project-file.ts'
import { HookStop, stopFor } from './stop.ts'

/** Name of the deployment that docs/deploy.md uses. */
const deploymentName = 'broker'

/** Parameters of main.bicep that broker.bicep does not have. */
const ofSubscription: ReadonlySet<string> = new Set(['resourceGroupName'])

/** Writes `.azure/<environment>/broker.parameters.json`. */
export async function writeParametersFile(context: HookContext, parameters: Parameters): Promise<void> {
  const { environment } = context
  const environmentName = environment.get('AZURE_ENV_NAME') ?? ''
  const values = { ...parameters, environmentName, location: environment.get('AZURE_LOCATION') ?? '' }
  const content = {
    $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#',
    contentVersion: '1.0.0.0',
    parameters: Object.fromEntries(
      Object.entries(values)
        .filter(([member, value]) => value !== undefined && !ofSubscription.has(member))
        .map(([member, value]) => [member, { value }]),
    ),
  }
  await writeCommandFile(context, 'broker.parameters.json', content)
}

/** The outputs of broker.bicep under the names of main.bicep, by which azd and the hooks know them. */
const outputNames: Readonly<Record<string, string>> = {
  baseUrl: 'BROKER_BASE_URL',
  defaultHostName: 'BROKER_DEFAULT_HOST_NAME',
  functionAppName: 'BROKER_FUNCTION_APP_NAME',
  vaultName: 'BROKER_VAULT_NAME',
  vaultUrl: 'BROKER_VAULT_URL',
  certificateName: 'BROKER_CERTIFICATE_NAME',
  tableServiceUri: 'BROKER_TABLE_SERVICE_URI',
  hostIdentityPrincipalId: 'BROKER_HOST_IDENTITY_PRINCIPAL_ID',
  identityClientId: 'BROKER_IDENTITY_CLIENT_ID',
  identityPrincipalId: 'BROKER_IDENTITY_PRINCIPAL_ID',
}

/** @throws {HookStop} where the deployment is missing or failed */
export async function outputs(context: HookContext): Promise<void> {
  const { cloud, environment, report } = context
  const file = await readConfigurationOf(context)
  if (file.problems.length > 0) throw stopFor(file.problems, file.name)
  const names = namesOf(environment, file.configuration)
  const { resourceGroup } = names
  const path = `${groupPath(context, names)}/providers/Microsoft.Resources/deployments/${deploymentName}`
  const answer = await cloud.arm(`${path}?api-version=2021-04-01`)
  const { provisioningState, outputs: found = {} } = (answer.body['properties'] ?? {}) as {
    readonly provisioningState?: string
    readonly outputs?: Readonly<Record<string, { readonly value?: unknown }>>
  }
  if (answer.status !== 200 || provisioningState !== 'Succeeded') {
    throw new HookStop(
      `The resource group ${resourceGroup} has no finished deployment named ${deploymentName} (${provisioningState ?? causeOf(answer)}). Run az deployment group create as docs/deploy.md shows it.`,
    )
  }
  await environment.set('AZURE_RESOURCE_GROUP', resourceGroup)
  for (const [name, variable] of Object.entries(outputNames)) {
    const value = found[name]?.value
    if (typeof value === 'string') await environment.set(variable, value)
  }
  report.row('Outputs', `of the deployment ${deploymentName} in ${resourceGroup} stored`)
}

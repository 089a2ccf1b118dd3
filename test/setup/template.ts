/** The effects of infra/main.bicep on the emulated Resource Manager, as far as the hooks see them. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { declarations } from '../../shared/settings/declarations.ts'
import type { ArmState } from './resource-manager.ts'
import { anna, bruno, officerPolicy, pipeline, readerPolicy, subscriptionId } from './azure.ts'
import type { Azure } from './azure.ts'
import { root } from './bicep.ts'

const template = readFileSync(path.join(root, 'infra', 'main.bicep'), 'utf8')
/** Names of the outputs, which azd stores in the environment and deletes at azd down. */
export const outputNames = [...template.matchAll(/^output (\w+) /gm)].map(([, name]) => name ?? '')

const identityPrincipalId = '33333333-3333-4333-8333-000000000001'
export const hostIdentityPrincipalId = '33333333-3333-4333-8333-000000000002'

/** The parameters as infra/main.bicepparam reads them from azd's environment; parameters.test.ts compares the two. */
export interface TemplateParameters {
  readonly environmentName: string
  readonly location: string
  readonly principalId: string
  readonly principalType?: string
  readonly resourceGroupName?: string
  readonly resourceToken?: string
  readonly clientId?: string
  readonly applicationObjectId?: string
  readonly frontEnds?: readonly object[]
  readonly brokerSettings?: Readonly<Record<string, string>>
  readonly alwaysReadyInstances?: number
  readonly domain?: string
  readonly baseUrl?: string
  readonly developerIds?: readonly string[]
  readonly otherVaultAccess?: readonly { readonly objectId: string }[]
  readonly vaultName?: string
  readonly vaultSku?: string
  readonly vaultAuthorization?: string
  readonly vaultSoftDeleteDays?: number
  readonly zoneRedundant?: boolean
  readonly budget?: { readonly startDate: string }
  readonly alertActionGroupIds?: readonly string[]
  readonly certificateName?: string
  readonly certificateOfficerId?: string
  readonly assignRoles?: boolean
  readonly alertEmails?: readonly string[]
  readonly deploymentPass?: string
  readonly network?: string
  readonly frontDoor?: { readonly domain: string }
}

/**
 * @param now milliseconds since the epoch, for the age of role assignments
 * @returns the outputs
 * @throws with the message of Resource Manager or of the template
 */
export function deployTemplate(azure: Azure, parameters: TemplateParameters, now: number): Record<string, string> {
  const { state } = azure.arm
  const {
    environmentName,
    location,
    resourceToken: token = '',
    clientId = '',
    domain = '',
    deploymentPass = 'first',
  } = parameters
  if (location === '') throw new Error('BCP333: location is too short')
  const isEntra = parameters.brokerSettings?.[declarations.authority.name] === undefined
  if (isEntra && !/^[\da-f-]{36}$/i.test(clientId)) throw new Error('clientId is not the GUID of an app registration')
  const group = `/subscriptions/${subscriptionId}/resourceGroups/${parameters.resourceGroupName ?? `rg-${environmentName}`}`
  const provider = (type: string, name: string) => `${group}/providers/${type}/${name}`
  const vaultName = parameters.vaultName ?? `kv-${token}`
  if (state.deletedVaults.has(vaultName)) throw new Error(`ConflictError: a deleted vault holds the name ${vaultName}`)
  const site = provider('Microsoft.Web/sites', `func-broker-${token}`)
  const isSecond = deploymentPass === 'second'
  if (isSecond && !state.resources.has(`${site}/functions/certificateEvent`)) {
    throw new Error('Microsoft.Web/sites/functions/certificateEvent could not be found')
  }

  checkUnchanged(state, provider, parameters, token, vaultName)
  const defaultHostName = `func-broker-${token}.azurewebsites.net`
  const tags = { 'azd-env-name': environmentName, application: 'certificate-token-broker' }
  const put = (id: string, resource: object) => void state.resources.set(id, { tags, ...resource })
  put(group, { location })
  put(site, {
    location,
    properties: {
      defaultHostName,
      customDomainVerificationId: state.domainVerificationId,
      siteConfig: parameters.frontDoor ? { ipSecurityRestrictionsDefaultAction: 'Deny' } : {},
      functionAppConfig: {
        scaleAndConcurrency: {
          alwaysReady: parameters.alwaysReadyInstances ? [{ instanceCount: parameters.alwaysReadyInstances }] : [],
        },
      },
    },
  })
  put(`${site}/hostNameBindings/${defaultHostName}`, { properties: {} })
  if (domain !== '') put(`${site}/hostNameBindings/${domain}`, { properties: { thumbprint: 'AB12' } })
  state.appSettings.set(site, {
    ...parameters.brokerSettings,
    [declarations.frontEnds.name]: JSON.stringify(parameters.frontEnds ?? []),
    [declarations.clientId.name]: clientId,
    [declarations.baseUrl.name]: baseUrlOf(parameters, defaultHostName),
    [declarations.vaultUrl.name]: `https://${vaultName}.vault.azure.net/`,
    [declarations.tablePrefix.name]: 'broker',
    ...(parameters.applicationObjectId
      ? { [declarations.applicationObjectId.name]: parameters.applicationObjectId }
      : {}),
  })
  put(provider('Microsoft.ManagedIdentity/userAssignedIdentities', `id-broker-${token}`), {
    properties: { principalId: identityPrincipalId },
  })
  put(provider('Microsoft.KeyVault/vaults', vaultName), {
    properties: {
      accessPolicies: accessPoliciesOf(parameters),
      sku: { name: parameters.vaultSku ?? 'standard' },
      enableRbacAuthorization: parameters.vaultAuthorization === 'rbac',
      softDeleteRetentionInDays: parameters.vaultSoftDeleteDays ?? 90,
      publicNetworkAccess: parameters.network === 'private' ? 'Disabled' : 'Enabled',
    },
  })
  put(provider('Microsoft.Storage/storageAccounts', `st${token}`), { sku: { name: storageSku(parameters) } })
  if (parameters.budget) {
    put(provider('Microsoft.Consumption/budgets', `budget-broker-${token}`), {
      properties: { timePeriod: { startDate: `${parameters.budget.startDate}T00:00:00Z` } },
    })
  }
  const actionGroup = provider('Microsoft.Insights/actionGroups', `ag-broker-${token}`)
  put(provider('Microsoft.Insights/metricAlerts', `${vaultName}-unavailable`), {
    properties: {
      actions: [actionGroup, ...(parameters.alertActionGroupIds ?? [])].map((actionGroupId) => ({ actionGroupId })),
    },
  })
  put(actionGroup, {
    properties: { emailReceivers: (parameters.alertEmails ?? []).map((emailAddress) => ({ emailAddress })) },
  })
  // Azure creates these two beside the component, without tags.
  const ofAzure = {
    'microsoft.alertsmanagement/smartDetectorAlertRules': `Failure Anomalies - appi-broker-${token}`,
    'microsoft.insights/actiongroups': 'Application Insights Smart Detection',
  }
  for (const [type, name] of Object.entries(ofAzure)) state.resources.set(provider(type, name), {})
  const topic = provider('Microsoft.EventGrid/systemTopics', `evgt-broker-${token}`)
  put(topic, {
    properties: { source: provider('Microsoft.KeyVault/vaults', vaultName) },
    ...assignTopicRole(state, topic),
  })
  if (isSecond) put(`${topic}/eventSubscriptions/certificate-event`, {})
  assignRoles(state, provider('Microsoft.Storage/storageAccounts', `stpkg${token}`), parameters, now)

  const deployer = [anna, bruno, pipeline].find(({ principalId }) => principalId === parameters.principalId)
  // Access policies belong to the vault; roles are assigned by a person where the template does not.
  const isGranted = parameters.vaultAuthorization !== 'rbac' || parameters.assignRoles !== false
  if (deployer && isGranted) azure.vault.setPermissions(deployer.clientId, deployerPolicyOf(parameters))

  const outputs: Readonly<Record<string, string>> = {
    AZURE_RESOURCE_GROUP: group.split('/').at(-1) ?? '',
    BROKER_BASE_URL: baseUrlOf(parameters, defaultHostName),
    BROKER_VAULT_URL: azure.vault.url,
    BROKER_VAULT_NAME: vaultName,
    BROKER_CERTIFICATE_NAME: parameters.certificateName ?? 'broker',
    BROKER_IDENTITY_PRINCIPAL_ID: identityPrincipalId,
    BROKER_HOST_IDENTITY_PRINCIPAL_ID: hostIdentityPrincipalId,
  }
  return Object.fromEntries(outputNames.map((name) => [name, outputs[name] ?? 'known after deployment']))
}

function baseUrlOf({ baseUrl, frontDoor, domain = '' }: TemplateParameters, defaultHostName: string): string {
  return baseUrl ?? `https://${frontDoor?.domain ?? (domain === '' ? defaultHostName : domain)}`
}

function deployerPolicyOf({ principalId, certificateOfficerId, deploymentPass }: TemplateParameters) {
  return deploymentPass !== 'second' || certificateOfficerId === principalId ? officerPolicy : readerPolicy
}

/** Each deployment replaces the whole list. Azure returns the names of permissions with a capital letter. */
function accessPoliciesOf(parameters: TemplateParameters): readonly object[] {
  const { developerIds = [], otherVaultAccess = [], principalId } = parameters
  const broker = { certificates: ['Get', 'List'], keys: ['Get', 'Sign', 'WrapKey', 'UnwrapKey'], secrets: [] }
  const { certificates } = deployerPolicyOf(parameters)
  return [
    ...[identityPrincipalId, ...developerIds].map((objectId) => ({ objectId, permissions: broker })),
    ...otherVaultAccess.map(({ objectId, ...permissions }) => ({ objectId, permissions })),
    ...(principalId === '' ? [] : [{ objectId: principalId, permissions: { certificates, keys: [] } }]),
  ]
}

function storageSku({ zoneRedundant }: TemplateParameters): string {
  return zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'
}

/** Azure refuses some changes of resources that exist. */
function checkUnchanged(
  { resources }: ArmState,
  provider: (type: string, name: string) => string,
  parameters: TemplateParameters,
  token: string,
  vaultName: string,
): void {
  const present = (type: string, name: string) =>
    resources.get(provider(type, name)) as Record<string, unknown> | undefined
  const site = present('Microsoft.Web/sites', `func-broker-${token}`)
  if (site && site['location'] !== parameters.location) throw new Error('InvalidResourceLocation')
  const vault = present('Microsoft.KeyVault/vaults', vaultName)?.['properties'] as Record<string, unknown> | undefined
  if (vault && vault['softDeleteRetentionInDays'] !== (parameters.vaultSoftDeleteDays ?? 90)) {
    throw new Error('The property "softDeleteRetentionInDays" has been set already and it can\'t be modified.')
  }
  const topic = present('Microsoft.EventGrid/systemTopics', `evgt-broker-${token}`)?.['properties'] as
    { source: string } | undefined
  if (topic && !topic.source.endsWith(`/${vaultName}`)) throw new Error('System topic source cannot be modified.')
  const sku = present('Microsoft.Storage/storageAccounts', `st${token}`)?.['sku'] as { name: string } | undefined
  if (sku && sku.name !== storageSku(parameters)) throw new Error('InvalidAccountReplicationTypeChange')
}

function assignRoles(state: ArmState, account: string, parameters: TemplateParameters, now: number): void {
  if (parameters.assignRoles === false || state.roleAssignments.has(account)) return
  const createdOn = new Date(now).toISOString()
  state.roleAssignments.set(account, [{ principalId: hostIdentityPrincipalId, createdOn }])
}

/**
 * Each new topic has a new identity. The name of its role assignment is fixed, so Azure refuses another identity.
 *
 * @returns the identity of the topic
 */
function assignTopicRole(state: ArmState, topic: string) {
  const present = state.resources.get(topic) as { readonly identity?: { readonly principalId: string } } | undefined
  const identity = present?.identity ?? { principalId: randomUUID() }
  const [assigned = { ...identity, createdOn: '' }] = state.roleAssignments.get(`${topic} on dead-letters`) ?? []
  if (assigned.principalId !== identity.principalId) {
    throw new Error('Tenant ID, application ID, principal ID, and scope are not allowed to be updated.')
  }
  state.roleAssignments.set(`${topic} on dead-letters`, [assigned])
  return { identity }
}

/** Deletes the resource group, as azd down or a person does: the vault stays as a deleted one. */
export function deleteGroup({ arm: { state } }: Azure, groupName: string): void {
  const group = `/subscriptions/${subscriptionId}/resourceGroups/${groupName}`
  for (const [id, resource] of [...state.resources]) {
    if (id !== group && !id.startsWith(`${group}/`)) continue
    state.resources.delete(id)
    keepDeletedVault(state, id, resource)
  }
  for (const map of [state.appSettings, state.unlisted, state.roleAssignments]) map.clear()
}

/** Deletes the vault alone, as a person does in the portal. */
export function deleteVault({ arm: { state } }: Azure): void {
  for (const [id, resource] of [...state.resources]) {
    if (keepDeletedVault(state, id, resource)) state.resources.delete(id)
  }
}

/** @returns whether the id is that of a vault, which is recoverable now */
function keepDeletedVault({ deletedVaults }: ArmState, id: string, resource: object): boolean {
  const vault = /\/Microsoft\.KeyVault\/vaults\/([^/]+)$/.exec(id)?.[1]
  if (vault !== undefined) deletedVaults.set(vault, { id, location: 'westeurope', resource })
  return vault !== undefined
}

/** Variables of azd's environment that earlier versions read, and the place of each value now. */
import type { AzdEnvironment } from './azd.ts'
import type { ConfigurationFile } from './configuration.ts'
import type { SettingProblem } from '../../shared/settings/settings-error.ts'

/** By variable: the member of the environment's file. */
export const movedVariables: Readonly<Record<string, string>> = {
  BROKER_RESOURCE_GROUP_NAME: 'resourceGroupName',
  BROKER_TENANT_ID: 'tenantId',
  BROKER_CLIENT_ID: 'clientId',
  BROKER_APPLICATION_OBJECT_ID: 'applicationObjectId',
  BROKER_APP_REGISTRATION: 'registration',
  BROKER_FRONT_ENDS: 'frontEnds',
  BROKER_RESPONSE_MODE: 'settings.Broker__ResponseMode',
  BROKER_SIGN_IN_SECONDS: 'settings.Broker__SignInSeconds',
  BROKER_SESSION_IDLE_SECONDS: 'settings.Broker__SessionIdleSeconds',
  BROKER_SESSION_ABSOLUTE_SECONDS: 'settings.Broker__SessionAbsoluteSeconds',
  BROKER_SESSION_CACHE_SECONDS: 'settings.Broker__SessionCacheSeconds',
  BROKER_NODE_VERSION: 'nodeVersion',
  BROKER_INSTANCE_MEMORY_MB: 'instanceMemoryMB',
  BROKER_MAXIMUM_INSTANCES: 'maximumInstances',
  BROKER_ALWAYS_READY_INSTANCES: 'alwaysReadyInstances',
  BROKER_DOMAIN: 'domain',
  BROKER_VAULT_AUTHORIZATION: 'vaultAuthorization',
  BROKER_VAULT_NAME: 'vaultName',
  BROKER_VAULT_SKU: 'vaultSku',
  BROKER_VAULT_SOFT_DELETE_DAYS: 'vaultSoftDeleteDays',
  BROKER_CERTIFICATE_NAME: 'certificateName',
  BROKER_WRAPPING_KEY_NAME: 'wrappingKeyName',
  BROKER_CERTIFICATE_OFFICER_ID: 'certificateOfficerId',
  BROKER_DEVELOPER_IDS: 'developerIds',
  BROKER_VAULT_ACCESS: 'otherVaultAccess',
  BROKER_ASSIGN_ROLES: 'assignRoles',
  BROKER_ALERT_EMAILS: 'alertEmails',
  BROKER_WEB_TEST_LOCATIONS: 'webTestLocations',
  BROKER_LOG_RETENTION_DAYS: 'logRetentionDays',
  BROKER_SOFT_DELETE_DAYS: 'softDeleteDays',
}

/** Outputs of the template by these names are no mistake of the person: azd stores them after each deployment. */
const alsoOutputs: ReadonlySet<string> = new Set(['BROKER_VAULT_NAME', 'BROKER_CERTIFICATE_NAME'])

export function findMovedVariables(environment: AzdEnvironment, { name, configuration }: ConfigurationFile) {
  return Object.entries(movedVariables).flatMap(([variable, member]): SettingProblem[] => {
    const value = environment.get(variable)
    if (value === undefined || alsoOutputs.has(variable)) return []
    if (value === writtenValue(configuration, member)) return []
    return [
      {
        setting: variable,
        problem: 'is no longer read',
        fix: `Write the value into ${name} as ${member}, and remove the variable: azd env set ${variable} ""`,
      },
    ]
  })
}

/** A value that is equal to the one in the file is harmless. */
function writtenValue(configuration: object, member: string): string | undefined {
  const value = member
    .split('.')
    .reduce<unknown>((inner, step) => (inner as Record<string, unknown> | undefined)?.[step], configuration)
  if (value === undefined) return undefined
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value.join(',')
  return typeof value === 'object' ? JSON.stringify(value) : `${value as string | number | boolean}`
}

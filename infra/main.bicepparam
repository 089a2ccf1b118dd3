// What azd's environment says. Each variable stands in docs/deploy.md, beside the parameter that it fills.
using 'main.bicep'

param resourceGroupName = readEnvironmentVariable('BROKER_RESOURCE_GROUP_NAME', '')
param location = readEnvironmentVariable('AZURE_LOCATION', '')
param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'broker-dev')
param resourceToken = readEnvironmentVariable('BROKER_RESOURCE_TOKEN', '')
param tenantId = readEnvironmentVariable('BROKER_TENANT_ID', readEnvironmentVariable('AZURE_TENANT_ID', ''))
param clientId = readEnvironmentVariable('BROKER_CLIENT_ID', '')
param applicationObjectId = readEnvironmentVariable('BROKER_APPLICATION_OBJECT_ID', '')
param frontEnds = json(empty(readEnvironmentVariable('BROKER_FRONT_ENDS', ''))
  ? '[]'
  : readEnvironmentVariable('BROKER_FRONT_ENDS', ''))
param brokerSettings = {
  Broker__ResponseMode: readEnvironmentVariable('BROKER_RESPONSE_MODE', 'form_post')
  Broker__SignInSeconds: readEnvironmentVariable('BROKER_SIGN_IN_SECONDS', '900')
  Broker__SessionIdleSeconds: readEnvironmentVariable('BROKER_SESSION_IDLE_SECONDS', '3600')
  Broker__SessionAbsoluteSeconds: readEnvironmentVariable('BROKER_SESSION_ABSOLUTE_SECONDS', '43200')
  Broker__SessionCacheSeconds: readEnvironmentVariable('BROKER_SESSION_CACHE_SECONDS', '0')
}
param extraTags = {}
param deploymentPass = readEnvironmentVariable('BROKER_DEPLOYMENT_PASS', 'first')
param nodeVersion = readEnvironmentVariable('BROKER_NODE_VERSION', '22')
// A look-up, since int() would be any number.
param instanceMemoryMB = {
  '512': 512
  '2048': 2048
  '4096': 4096
}[readEnvironmentVariable('BROKER_INSTANCE_MEMORY_MB', '2048')]
param maximumInstances = int(readEnvironmentVariable('BROKER_MAXIMUM_INSTANCES', '40'))
param alwaysReadyInstances = int(readEnvironmentVariable('BROKER_ALWAYS_READY_INSTANCES', '0'))
param domain = readEnvironmentVariable('BROKER_DOMAIN', '')
param domainIsBound = bool(readEnvironmentVariable('BROKER_DOMAIN_IS_BOUND', 'false'))
param vaultAuthorization = readEnvironmentVariable('BROKER_VAULT_AUTHORIZATION', 'accessPolicies')
param vaultName = readEnvironmentVariable('BROKER_VAULT_NAME', '')
param vaultSku = readEnvironmentVariable('BROKER_VAULT_SKU', 'standard')
param recoverVault = bool(readEnvironmentVariable('BROKER_RECOVER_VAULT', 'false'))
param vaultSoftDeleteDays = int(readEnvironmentVariable('BROKER_VAULT_SOFT_DELETE_DAYS', '90'))
param certificateName = readEnvironmentVariable('BROKER_CERTIFICATE_NAME', 'broker')
param wrappingKeyName = readEnvironmentVariable('BROKER_WRAPPING_KEY_NAME', 'broker-key-ring')
param principalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')
param principalType = readEnvironmentVariable('AZURE_PRINCIPAL_TYPE', 'User')
param certificateOfficerId = readEnvironmentVariable('BROKER_CERTIFICATE_OFFICER_ID', '')
param developerIds = filter(
  map(split(readEnvironmentVariable('BROKER_DEVELOPER_IDS', ''), ','), one => trim(one)),
  one => !empty(one)
)
param otherVaultAccess = json(empty(readEnvironmentVariable('BROKER_VAULT_ACCESS', ''))
  ? '[]'
  : readEnvironmentVariable('BROKER_VAULT_ACCESS', ''))
param assignRoles = bool(readEnvironmentVariable('BROKER_ASSIGN_ROLES', 'true'))
param alertEmails = filter(
  map(split(readEnvironmentVariable('BROKER_ALERT_EMAILS', ''), ','), one => trim(one)),
  one => !empty(one)
)
param webTestLocations = filter(
  map(
    split(readEnvironmentVariable('BROKER_WEB_TEST_LOCATIONS', 'emea-nl-ams-azr,us-va-ash-azr,apac-sg-sin-azr'), ','),
    one => trim(one)
  ),
  one => !empty(one)
)
param logRetentionDays = int(readEnvironmentVariable('BROKER_LOG_RETENTION_DAYS', '30'))
param softDeleteDays = int(readEnvironmentVariable('BROKER_SOFT_DELETE_DAYS', '7'))

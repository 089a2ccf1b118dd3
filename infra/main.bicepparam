// The parameters of a deployment. The hook preprovision checks infra/environments/<name>.json, adds what it finds out
// in Azure, and stores the result in azd's environment as BROKER_PARAMETERS: JSON as Base64, because azd's .env files
// escape quotation marks. Members are named as the parameters. Without the variable every parameter has its default, so
// that azd can compile this file before the first hook runs, and in azd down and azd env refresh on a fresh clone.
using 'main.bicep'

var stored = readEnvironmentVariable('BROKER_PARAMETERS', '')
// any(): the compiler would otherwise derive a type from the value, and warn of each member that it lacks.
var given = any(json(base64ToString(empty(stored) ? base64('{}') : stored)))

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'broker-dev')
param location = readEnvironmentVariable('AZURE_LOCATION', '')
// The hook reads the object id from the token; azd's own value is, for a guest, the id in the home tenant.
param principalId = given.?principalId ?? readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')

param resourceGroupName = given.?resourceGroupName ?? ''
param resourceToken = given.?resourceToken ?? ''
param tenantId = given.?tenantId ?? ''
param clientId = given.?clientId ?? ''
param applicationObjectId = given.?applicationObjectId ?? ''
param frontEnds = given.?frontEnds ?? []
param brokerSettings = given.?brokerSettings ?? {}
param extraTags = given.?extraTags ?? {}
param deploymentPass = given.?deploymentPass ?? 'first'
param nodeVersion = given.?nodeVersion ?? '22'
param instanceMemoryMB = given.?instanceMemoryMB ?? 2048
param maximumInstances = given.?maximumInstances ?? 40
param alwaysReadyInstances = given.?alwaysReadyInstances ?? 0
param domain = given.?domain ?? ''
param baseUrl = given.?baseUrl ?? ''
param domainIsBound = given.?domainIsBound ?? false
param vaultAuthorization = given.?vaultAuthorization ?? 'accessPolicies'
param vaultName = given.?vaultName ?? ''
param vaultSku = given.?vaultSku ?? 'standard'
param vaultSoftDeleteDays = given.?vaultSoftDeleteDays ?? 90
param certificateName = given.?certificateName ?? 'broker'
param wrappingKeyName = given.?wrappingKeyName ?? 'broker-key-ring'
param principalType = given.?principalType ?? 'User'
param certificateOfficerId = given.?certificateOfficerId ?? ''
param developerIds = given.?developerIds ?? []
param otherVaultAccess = given.?otherVaultAccess ?? []
param assignRoles = given.?assignRoles ?? true
param alertEmails = given.?alertEmails ?? []
param webTestLocations = given.?webTestLocations ?? ['emea-nl-ams-azr', 'us-va-ash-azr', 'apac-sg-sin-azr']
param logRetentionDays = given.?logRetentionDays ?? 30
param softDeleteDays = given.?softDeleteDays ?? 7
param alertActionGroupIds = given.?alertActionGroupIds ?? []
param auditTableReads = given.?auditTableReads ?? true
param network = given.?network ?? 'public'
param networkAddressPrefix = given.?networkAddressPrefix ?? '10.140.0.0/24'
param appSubnetId = given.?appSubnetId ?? ''
param endpointSubnetId = given.?endpointSubnetId ?? ''
param createDnsZones = given.?createDnsZones ?? true
param vaultAllowedAddresses = given.?vaultAllowedAddresses ?? []
param frontDoor = given.?frontDoor
param zoneRedundant = given.?zoneRedundant ?? false
param lockResources = given.?lockResources ?? false
param budget = given.?budget
param updateStrategy = given.?updateStrategy ?? 'Recreate'
param cloudName = given.?cloudName ?? 'AzureCloud'

/** Checks of a configuration that concern more than one of its members. */
import { declarations } from '../../shared/settings/declarations.ts'
import type { Refusal, SettingProblem } from '../../shared/settings/settings-error.ts'
import type { Configuration } from './configuration.schema.ts'
import { settingsOf } from './configuration-settings.ts'
import { isProduction } from './names.ts'

/** @param cloudName as az names it */
export function checkRelations(
  configuration: Configuration,
  environmentName: string,
  cloudName: string,
): SettingProblem[] {
  return [
    ...checkPeople(configuration, environmentName),
    ...checkRegistration(configuration),
    ...checkAddresses(configuration, cloudName),
    ...checkNetwork(configuration),
    ...checkInstances(configuration),
    ...checkVaultObjects(configuration),
  ]
}

const refuse = (setting: keyof Configuration, refusal: Refusal): SettingProblem => ({ setting, ...refusal })

function* checkInstances({ alwaysReadyInstances = 0, maximumInstances = 40 }: Configuration) {
  if (alwaysReadyInstances <= maximumInstances) return
  yield refuse('alwaysReadyInstances', {
    problem: `is larger than maximumInstances (${maximumInstances})`,
    fix: 'Write a smaller number, or a larger maximumInstances.',
  })
}

/** The key of a certificate has its name in the vault, which ignores capital letters. */
function* checkVaultObjects({ certificateName = 'broker', wrappingKeyName = 'broker-key-ring' }: Configuration) {
  if (certificateName.toLowerCase() !== wrappingKeyName.toLowerCase()) return
  yield refuse('wrappingKeyName', {
    problem: 'is the name of the certificate, whose key has the same name in the vault',
    fix: 'Write another name, such as broker-key-ring.',
  })
}

function* checkPeople(configuration: Configuration, environmentName: string) {
  const { developerIds = [], otherVaultAccess = [], vaultAuthorization } = configuration
  if (developerIds.length > 0 && isProduction(environmentName)) {
    yield refuse('developerIds', {
      problem: 'would give developers the permissions of the broker in a production environment',
      fix: 'Remove it, or use another environment.',
    })
  }
  if (otherVaultAccess.length > 0 && vaultAuthorization === 'rbac') {
    yield refuse('otherVaultAccess', {
      problem: 'is for access policies, and vaultAuthorization is rbac',
      fix: 'Assign roles on the vault instead.',
    })
  }
}

function* checkRegistration(configuration: Configuration) {
  if (configuration.clientId !== undefined) return
  if (settingsOf(configuration)[declarations.authority.name] !== undefined) {
    yield refuse('clientId', {
      problem: 'is missing, and Broker__Authority names a provider',
      fix: 'Write the client id that the provider assigned.',
    })
  } else if (configuration.registration === 'manual') {
    yield refuse('clientId', {
      problem: 'is missing, and registration is manual',
      fix: 'Create the app registration (az ad app create --display-name "Certificate token broker" --sign-in-audience AzureADMyOrg), and write its Application (client) ID.',
    })
  }
}

function* checkAddresses({ baseUrl, domain, frontDoor, webTestLocations }: Configuration, cloudName: string) {
  if (baseUrl !== undefined && domain !== undefined) {
    yield refuse('domain', {
      problem: 'is set beside baseUrl',
      fix: 'Where another server forwards to the broker, that server has the domain: remove domain.',
    })
  }
  if (baseUrl !== undefined && frontDoor !== undefined && new URL(baseUrl).hostname !== frontDoor.domain) {
    yield refuse('baseUrl', {
      problem: 'has another domain than frontDoor',
      fix: `Write the domain of Front Door in both: https://${frontDoor.domain}/auth.`,
    })
  }
  if (domain !== undefined && frontDoor !== undefined) {
    yield refuse('domain', {
      problem: 'is set beside frontDoor',
      fix: 'Behind Front Door the domain belongs to Front Door: write it as frontDoor.domain, and remove domain.',
    })
  }
  if (webTestLocations === undefined && cloudName !== 'AzureCloud') {
    yield refuse('webTestLocations', {
      problem: `is missing, and the default regions are not in ${cloudName}`,
      fix: 'Write three regions of the web test in this cloud, by their names in Application Insights: usgov-va-azr.',
    })
  }
}

/** The id of a subnet's virtual network, for a comparison. */
function networkOf(subnetId: string): string | undefined {
  return subnetId.toLowerCase().split('/subnets/')[0]
}

function* checkNetwork(configuration: Configuration) {
  const { appSubnetId, endpointSubnetId, vaultAllowedAddresses = [], network, createDnsZones = true } = configuration
  if ((appSubnetId === undefined) !== (endpointSubnetId === undefined)) {
    yield refuse(appSubnetId === undefined ? 'appSubnetId' : 'endpointSubnetId', {
      problem: 'is missing beside the other subnet',
      fix: 'Name both subnets, or none: the template then creates a virtual network.',
    })
  }
  const hasBoth = appSubnetId !== undefined && endpointSubnetId !== undefined
  if (createDnsZones && hasBoth && networkOf(appSubnetId) !== networkOf(endpointSubnetId)) {
    yield refuse('endpointSubnetId', {
      problem: 'is in another virtual network than appSubnetId, so that the app would not find the private endpoints',
      fix: 'Use two subnets of one network. Or write "createDnsZones": false, and register the endpoints in the DNS of the app’s network.',
    })
  }
  if (network === 'private') return
  if (appSubnetId !== undefined || endpointSubnetId !== undefined) {
    yield refuse(appSubnetId === undefined ? 'endpointSubnetId' : 'appSubnetId', {
      problem: 'is set, and network is not private',
      fix: 'Write "network": "private", or remove the subnets.',
    })
  }
  for (const member of ['networkAddressPrefix', 'createDnsZones'] as const) {
    if (configuration[member] === undefined) continue
    yield refuse(member, {
      problem: 'is set, and network is not private, so that there is no virtual network',
      fix: 'Write "network": "private", or remove it.',
    })
  }
  if (vaultAllowedAddresses.length > 0) {
    yield refuse('vaultAllowedAddresses', {
      problem: 'is set, and network is not private, so that every address is allowed',
      fix: 'Write "network": "private", or remove it.',
    })
  }
}

/** The cloud that the hooks deploy to: its Resource Manager, beside the hosts of shared/settings/clouds.ts. */
import { clouds, publicCloud } from '../../shared/settings/clouds.ts'
import type { Cloud as CloudHosts } from '../../shared/settings/clouds.ts'
import type { Variables } from './azd.ts'
import { HookStop } from './stop.ts'

interface AzureCloud {
  /** As az and Bicep name it. */
  readonly name: string
  /** Origin of Resource Manager, which is also the audience of its tokens. */
  readonly arm: string
  readonly hosts: CloudHosts
}

/** Names and addresses as az has them. Those of Singapore's cloud are not published. */
const published: readonly AzureCloud[] = [
  { name: 'AzureCloud', arm: 'https://management.azure.com', hosts: publicCloud },
  cloudOf('AzureUSGovernment', 'https://management.usgovcloudapi.net', 'login.microsoftonline.us'),
  cloudOf('AzureChinaCloud', 'https://management.chinacloudapi.cn', 'login.partner.microsoftonline.cn'),
  cloudOf('AzureBleuCloud', 'https://management.sovcloud-api.fr', 'login.sovcloud-identity.fr'),
  cloudOf('AzureGermanyCloud', 'https://management.sovcloud-api.de', 'login.sovcloud-identity.de'),
]

function cloudOf(name: string, arm: string, loginHost: string): AzureCloud {
  return { name, arm, hosts: clouds.find((cloud) => cloud.loginHost === loginHost) ?? publicCloud }
}

/**
 * @param variables BROKER_CLOUD, and BROKER_RESOURCE_MANAGER for a cloud that is not published. A wrong address
 *   receives no token of value: tokens are requested for this address, and Entra ID issues none for a stranger's
 * @throws {HookStop} for an unknown cloud
 */
export function findAzureCloud(variables: Variables): AzureCloud {
  const name = variables.get('BROKER_CLOUD') ?? 'AzureCloud'
  const manager = variables.get('BROKER_RESOURCE_MANAGER')
  const known = published.find((cloud) => cloud.name === name)
  if (known) return known
  if (manager === undefined) {
    throw new HookStop(
      `BROKER_CLOUD is none of ${published.map((cloud) => cloud.name).join(', ')}. For another cloud, set BROKER_RESOURCE_MANAGER too, as this prints it: az cloud show --query endpoints.resourceManager.`,
    )
  }
  const url = URL.parse(manager)
  // management.sovcloud-api.sg, and .vault.sovcloud-api.sg
  const domain = url?.hostname.replace(/^[^.]+\./, '') ?? ''
  const hosts = clouds.find(({ vaultSuffix }) => vaultSuffix === `.vault.${domain}`)
  if (url?.protocol !== 'https:' || url.pathname !== '/' || hosts === undefined) {
    throw new HookStop(
      'BROKER_RESOURCE_MANAGER is not the https address of Resource Manager in a cloud that the broker knows (docs/settings.md, "Clouds and hosts").',
    )
  }
  return { name, arm: url.origin, hosts }
}

/** @returns the origin of Microsoft Graph in the cloud that the variables name */
export function graphOriginOf(variables: Variables): string {
  return `https://${findAzureCloud(variables).hosts.graphHosts[0]}`
}

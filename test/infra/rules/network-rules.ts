/** Rules for the private network and Front Door. */
import {
  compare,
  expectMembers,
  list,
  memberOf,
  objects,
  propertiesOf,
  resources,
  settingsOf,
  siteConfigOf,
  token,
  vaultNameOf,
  vaultsOf,
} from './predicted-resources.ts'
import type { Json, Rule } from './predicted-resources.ts'

export const networkRules: readonly Rule[] = [
  {
    name: 'a private network closes vault and storage, and a public one leaves no part of it behind',
    violations: (snapshot) => {
      const [site] = resources(snapshot, 'Microsoft.Web/sites')
      const { virtualNetworkSubnetId, outboundVnetRouting } = propertiesOf(site)
      const isPrivate = typeof virtualNetworkSubnetId === 'string'
      const [vault] = vaultsOf(snapshot)
      const addresses = objects(memberOf(propertiesOf(vault), 'networkAcls')['ipRules'])
      const endpoints = resources(snapshot, 'Microsoft.Network/privateEndpoints').flatMap((endpoint) =>
        objects(propertiesOf(endpoint)['privateLinkServiceConnections']).map((connection) => {
          const { privateLinkServiceId, groupIds } = connection['properties'] as Json
          return `${String(privateLinkServiceId).split('/').slice(-2).join('/').replace(token, '')} ${list(groupIds).join(' ')}`
        }),
      )
      return [
        ...expectMembers('vault', propertiesOf(vault), {
          publicNetworkAccess: isPrivate && addresses.length === 0 ? 'Disabled' : 'Enabled',
        }),
        ...expectMembers('vault', memberOf(propertiesOf(vault), 'networkAcls'), {
          defaultAction: isPrivate ? 'Deny' : 'Allow',
          bypass: 'None',
        }),
        ...resources(snapshot, 'Microsoft.Storage/storageAccounts').flatMap((account) => [
          ...expectMembers(account.name, propertiesOf(account), {
            publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled',
          }),
          ...expectMembers(account.name, memberOf(propertiesOf(account), 'networkAcls'), {
            defaultAction: isPrivate ? 'Deny' : 'Allow',
            bypass: isPrivate && !account.name.startsWith('stpkg') ? 'AzureServices' : 'None',
          }),
        ]),
        ...(isPrivate === (memberOf({ outboundVnetRouting }, 'outboundVnetRouting')['allTraffic'] === true)
          ? []
          : ['outbound traffic of the app bypasses the network']),
        ...compare(
          'private endpoints',
          endpoints,
          isPrivate
            ? [
                `vaults/${vaultNameOf(snapshot)} vault`,
                'storageAccounts/st blob',
                'storageAccounts/st table',
                'storageAccounts/stpkg blob',
              ]
            : [],
        ),
      ]
    },
  },
  {
    name: 'a network of the template has the subnets that Flex Consumption needs, and DNS for every endpoint',
    violations: (snapshot) =>
      resources(snapshot, 'Microsoft.Network/virtualNetworks').flatMap((network) => {
        const subnets = objects(propertiesOf(network)['subnets'])
        const app = subnets.find(({ name }) => name === 'app')
        const zones = resources(snapshot, 'Microsoft.Network/privateDnsZones').map(({ name }) => name)
        const inGroups = resources(snapshot, 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups').flatMap(
          (group) => objects(propertiesOf(group)['privateDnsZoneConfigs']).map(({ name }) => String(name)),
        )
        return [
          ...compare(
            'delegations of the subnet of the app',
            objects(memberOf(app ?? {}, 'properties')['delegations']).map((delegation) =>
              String(memberOf(delegation, 'properties')['serviceName']),
            ),
            ['Microsoft.App/environments'],
          ),
          ...subnets.flatMap((subnet) => {
            const size = Number(String(memberOf(subnet, 'properties')['addressPrefix']).split('/')[1])
            return [
              ...(size <= 27 ? [] : [`subnet ${String(subnet['name'])} is smaller than /27`]),
              ...(String(subnet['name']).includes('_') ? [`subnet ${String(subnet['name'])} has an underscore`] : []),
              ...('networkSecurityGroup' in memberOf(subnet, 'properties') ? [] : ['subnet without a security group']),
            ]
          }),
          ...('natGateway' in memberOf(app ?? {}, 'properties') ? [] : ['the app has no way to the internet']),
          ...(zones.length === 0 ? [] : compare('endpoints in DNS', inGroups, ['vault', 'blob', 'table', 'blob'])),
          ...compare(
            'linked zones',
            resources(snapshot, 'Microsoft.Network/privateDnsZones/virtualNetworkLinks').map(({ name }) =>
              name.replace(/^\[format\('\{0\}\/\{1\}', (.*), '[^']+'\)\]$/, '[$1]'),
            ),
            zones,
          ),
        ]
      }),
  },
  {
    name: 'behind Front Door only its requests and those of Event Grid reach the app',
    violations: (snapshot) =>
      resources(snapshot, 'Microsoft.Web/sites').flatMap((site) => {
        const { ipSecurityRestrictionsDefaultAction: action, ipSecurityRestrictions } = siteConfigOf(site)
        const restrictions = objects(ipSecurityRestrictions).map(
          ({ action: rule, tag, ipAddress, headers }) =>
            `${String(rule)} ${String(tag)} ${String(ipAddress)} ${list((headers as Json | undefined)?.['x-azure-fdid']).join(' ')}`,
        )
        const isDefaultHost = settingsOf(snapshot)['Broker__BaseUrl']?.includes('defaultHostName')
        if (action === 'Allow') return compare('restrictions', restrictions, [])
        return [
          ...expectMembers('site', siteConfigOf(site), { ipSecurityRestrictionsDefaultAction: 'Deny' }),
          ...(isDefaultHost ? ['the base URL is not the domain of Front Door'] : []),
          ...compare('restrictions', restrictions, [
            'Allow ServiceTag AzureFrontDoor.Backend 7c9e2b1a-4d5f-4e6a-8b0c-1d2e3f405162',
            'Allow ServiceTag AzureEventGrid ',
          ]),
        ]
      }),
  },
]

/** The environment that the stories deploy: one front end with one API, and the state after a complete deployment. */
import { expect } from 'vitest'
import { trust } from '../../setup/trust.ts'
import { createWorkplace } from '../../setup/azd.ts'
import type { Workplace, WorkplaceOptions } from '../../setup/azd.ts'
import { pipeline, startAzure, subscriptionId, tenantId } from '../../setup/azure.ts'
import type { Azure } from '../../setup/azure.ts'

export const frontEnds = [
  { id: 'spa', origins: ['https://app.example.com'], apis: [{ name: 'orders', scopes: ['api://orders/orders.read'] }] },
]
const api = {
  id: 'c3b1e0a2-5d4f-4c8e-9a7b-0e1d2c3b4a50',
  appId: 'c3b1e0a2-5d4f-4c8e-9a7b-0e1d2c3b4a51',
  servicePrincipalNames: ['api://orders'],
  oauth2PermissionScopes: [{ id: 'c3b1e0a2-5d4f-4c8e-9a7b-0e1d2c3b4a52', value: 'orders.read' }],
}

/** An app registration that the file of the environment names. */
export const given = { id: '77777777-7777-4777-8777-777777777777', appId: '77777777-7777-4777-8777-000000000001' }

export interface Shop {
  readonly azure: Azure
  readonly here: Workplace
  close(): Promise<void>
}

export async function openShop(): Promise<Shop> {
  const azure = await startAzure()
  trust(azure.authorityPem)
  azure.directory.servicePrincipals.push(api)
  const here = await createWorkplace({ azure })
  await here.configure({ frontEnds })
  return {
    azure,
    here,
    close: async () => {
      await azure.close()
      await here.remove()
    },
  }
}

/** A clone of the shop that a pipeline deploys: the variables as `azd pipeline config` and GitHub set them. */
export const asPipeline: Pick<WorkplaceOptions, 'deployer' | 'machine' | 'answers'> = {
  deployer: pipeline,
  answers: {},
  machine: {
    CI: 'true',
    GITHUB_ACTIONS: 'true',
    AZURE_CLIENT_ID: pipeline.clientId,
    AZURE_TENANT_ID: tenantId,
    AZURE_SUBSCRIPTION_ID: subscriptionId,
    AZURE_LOCATION: 'westeurope',
    AZURE_ENV_NAME: 'shop-test',
    // GitHub passes a variable that is not set as an empty text.
    BROKER_CONFIRM_REMOVAL: '',
    BROKER_FRONT_ENDS: '',
  },
}

/** The state of a complete deployment, to compare one way of reaching it with another. */
export function outcome({ graph, directory, vault, arm }: Azure) {
  const [application, ...others] = graph.applications.all
  const properties = { ...directory.properties.get(application!.id) }
  const settings = [...arm.state.appSettings.values()]
  return {
    applications: 1 + others.length,
    uris: (properties['web'] as { redirectUris: string[] }).redirectUris.length,
    claims: (properties['optionalClaims'] as { idToken: { name: string }[] }).idToken.map(({ name }) => name),
    version: (properties['api'] as { requestedAccessTokenVersion: number }).requestedAccessTokenVersion,
    roles: (properties['appRoles'] as { value: string }[]).map(({ value }) => value),
    access: properties['requiredResourceAccess'],
    keys: graph.applications.keysOf(application!).length,
    servicePrincipals: directory.servicePrincipals.filter(({ appId }) => appId === application!.appId).length,
    versions: vault.publicCertificates('broker').length,
    isSecondPass: [...arm.state.resources.keys()].some((id) => id.endsWith('/eventSubscriptions/certificate-event')),
    hasClientId: settings.map((one) => one['AzureAd__ClientId'] === application!.appId),
    hasObjectId: settings.map((one) => one['Broker__ApplicationObjectId'] === application!.id),
  }
}

export const complete = {
  applications: 1,
  uris: 2,
  claims: ['login_hint', 'sid', 'auth_time'],
  version: 2,
  roles: ['Broker.Operator'],
  access: [{ resourceAppId: api.appId, resourceAccess: [{ id: api.oauth2PermissionScopes[0]!.id, type: 'Scope' }] }],
  keys: 1,
  servicePrincipals: 1,
  versions: 1,
  isSecondPass: true,
  hasClientId: [true],
  hasObjectId: [true],
}

/** The id of a resource of the shop by a part of its path. */
export function idOf(azure: Azure, part: string): string {
  return [...azure.arm.state.resources.keys()].find((id) => id.includes(part)) ?? ''
}

export function parametersOf({ variables }: Workplace): Record<string, unknown> {
  const text = Buffer.from(variables.get('BROKER_PARAMETERS') ?? '', 'base64').toString()
  return JSON.parse(text) as Record<string, unknown>
}

/** Runs azd up, which must stop before anything is created. @returns its output */
export async function refused(shop: Shop): Promise<string> {
  const before = shop.azure.graph.applications.all.length
  const { code, output } = await shop.here.azd('up')
  expect(code, output).toBe(1)
  expect(shop.azure.graph.applications.all).toHaveLength(before)
  expect(idOf(shop.azure, '/Microsoft.Web/sites/')).toBe('')
  return output
}

/** Runs azd up, which must succeed. @returns its output */
export async function accepted(shop: Shop): Promise<string> {
  const { code, output } = await shop.here.azd('up')
  expect(code, output).toBe(0)
  return output
}

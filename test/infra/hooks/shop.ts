/** The deployment that the stories tell: one front end with one API, and what must be there at its end. */
import { startDeployment } from '../../setup/deployment.ts'
import type { Deployment } from '../../setup/deployment.ts'

const frontEnds = JSON.stringify([
  { id: 'spa', origins: ['https://app.example.com'], apis: [{ name: 'orders', scopes: ['api://orders/orders.read'] }] },
])
export const api = {
  id: 'c3b1e0a2-5d4f-4c8e-9a7b-0e1d2c3b4a50',
  appId: 'c3b1e0a2-5d4f-4c8e-9a7b-0e1d2c3b4a51',
  servicePrincipalNames: ['api://orders'],
  oauth2PermissionScopes: [{ id: 'c3b1e0a2-5d4f-4c8e-9a7b-0e1d2c3b4a52', value: 'orders.read' }],
}

/** All that a deployment leaves behind, for comparing one with another. */
export async function outcome(deployment: Deployment) {
  const { graph, directory, vault } = deployment
  const variables = await deployment.variables()
  const [application, ...others] = graph.applications.all
  const properties = { ...directory.properties.get(application!.id) }
  return {
    applications: 1 + others.length,
    uris: (properties['web'] as { redirectUris: string[] }).redirectUris,
    logoutUrl: (properties['web'] as { logoutUrl: string }).logoutUrl,
    claims: (properties['optionalClaims'] as { idToken: { name: string }[] }).idToken.map(({ name }) => name),
    version: (properties['api'] as { requestedAccessTokenVersion: number }).requestedAccessTokenVersion,
    roles: (properties['appRoles'] as { value: string }[]).map(({ value }) => value),
    access: properties['requiredResourceAccess'],
    keys: graph.applications.keysOf(application!).length,
    servicePrincipals: directory.servicePrincipals.filter(({ appId }) => appId === application!.appId).length,
    versions: vault.publicCertificates('broker').length,
    isCurrent: variables['BROKER_CLIENT_ID'] === application!.appId,
    hasObjectId: variables['BROKER_APPLICATION_OBJECT_ID'] === application!.id,
  }
}

export const whole = (baseUrl: string) => ({
  applications: 1,
  uris: [`${baseUrl}/callback`, `${baseUrl}/logout/done`],
  logoutUrl: `${baseUrl}/logout/frontchannel`,
  claims: ['login_hint', 'sid'],
  version: 2,
  roles: ['Broker.Operator'],
  access: [{ resourceAppId: api.appId, resourceAccess: [{ id: api.oauth2PermissionScopes[0]!.id, type: 'Scope' }] }],
  keys: 1,
  servicePrincipals: 1,
  versions: 1,
  isCurrent: true,
  hasObjectId: true,
})

export async function startShop(environmentName?: string): Promise<Deployment> {
  const deployment = await startDeployment(environmentName)
  deployment.directory.servicePrincipals.push(api)
  await deployment.set({ BROKER_FRONT_ENDS: frontEnds })
  return deployment
}

/** Both hooks, with what azd and the template do between them. */
export async function upTo(deployment: Deployment) {
  const before = await deployment.hook('preprovision')
  await deployment.provisioned()
  const after = await deployment.hook('postprovision')
  return { before, after, codes: [before.code, after.code] }
}

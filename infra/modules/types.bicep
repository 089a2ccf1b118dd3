metadata name = 'Types'
metadata description = 'Types and checks that the templates share.'

@export()
@description('Tags of every resource: name and value.')
type tags = {
  *: string
}

@export()
@description('The first 15 tags by name. Azure accepts no more for a key in a vault, a private DNS zone and its link.')
func firstTags(all tags) tags => toObject(take(items(all), 15), tag => tag.key, tag => tag.value)

@export()
@description('Names of all resources. broker.bicep computes them once and passes them to every module.')
type resourceNames = {
  @description('User-assigned identity of the broker: vault, tables and telemetry.')
  identity: string

  @description('User-assigned identity of the Functions host: its blobs and the package.')
  hostIdentity: string

  @description('Key Vault.')
  vault: string

  @description('Storage account of the tables, of the host and of the dead letters.')
  storage: string

  @description('Storage account of the deployed package.')
  packageStorage: string

  @description('Blob container that holds the deployed package.')
  packageContainer: string

  @description('Blob container for events that Event Grid could not deliver.')
  deadLetterContainer: string

  @description('Log Analytics workspace.')
  workspace: string

  @description('Application Insights.')
  component: string

  @description('Plan of the function app.')
  plan: string

  @description('Function app.')
  functionApp: string

  @description('Event Grid system topic of the vault.')
  topic: string

  @description('Action group that receives the alerts.')
  actionGroup: string

  @description('Virtual network.')
  network: string

  @description('NAT gateway of the virtual network.')
  natGateway: string

  @description('Budget of the resource group.')
  budget: string
}

@export()
@description('Settings of the broker: name and value. No secrets.')
type appSettings = {
  *: string
}

@export()
@description('The Front Door in front of the app.')
@sealed()
type frontDoorOrigin = {
  @description('Front Door ID from its overview page: the value of the header X-Azure-FDID.')
  @minLength(36)
  @maxLength(36)
  id: string

  @description('Domain that browsers use, without https://.')
  @minLength(4)
  @maxLength(253)
  domain: string
}

@export()
@description('A budget of the resource group.')
@sealed()
type monthlyBudget = {
  @description('Amount for each month, in the currency of the subscription.')
  @minValue(1)
  amount: int

  @description('First day of the month in which the budget starts, as 2026-11-01. Azure does not allow a later change.')
  @minLength(10)
  @maxLength(10)
  startDate: string
}

@export()
@description('Permissions of an identity on certificates in the vault.')
type certificatePermission =
  | 'get'
  | 'list'
  | 'create'
  | 'update'
  | 'delete'
  | 'import'
  | 'managecontacts'
  | 'getissuers'
  | 'listissuers'
  | 'setissuers'
  | 'deleteissuers'
  | 'manageissuers'
  | 'recover'
  | 'backup'
  | 'restore'
  | 'purge'

@export()
@description('Permissions of an identity on keys in the vault.')
type keyPermission =
  | 'get'
  | 'list'
  | 'sign'
  | 'verify'
  | 'wrapKey'
  | 'unwrapKey'
  | 'encrypt'
  | 'decrypt'
  | 'create'
  | 'update'
  | 'import'
  | 'delete'
  | 'recover'
  | 'backup'
  | 'restore'
  | 'purge'
  | 'rotate'
  | 'getrotationpolicy'
  | 'setrotationpolicy'

@export()
@description('Access policy of another person, group or application.')
@sealed()
type vaultAccess = {
  @description('Object id of the person, group or service principal.')
  @minLength(36)
  @maxLength(36)
  objectId: string

  @description('Permissions on certificates.')
  certificates: certificatePermission[]?

  @description('Permissions on keys.')
  keys: keyPermission[]?
}

@export()
@description('An API for which a front end gets access tokens.')
@sealed()
type frontEndApi = {
  @description('Name of the API in requests of the front end.')
  @minLength(1)
  @maxLength(64)
  name: string

  @description('Full scopes at the identity provider, all of one resource.')
  @minLength(1)
  @maxLength(20)
  scopes: string[]
}

@export()
@description('A registered front end. docs/front-ends.schema.json has all rules.')
@sealed()
type frontEnd = {
  @description('Id: the parameter frontend, and part of the cookie name.')
  @minLength(1)
  @maxLength(32)
  id: string

  @description('session for a session front end, oauth for an OAuth client.')
  kind: ('session' | 'oauth')?

  @description('Origins, exactly as a browser sends them.')
  @minLength(1)
  @maxLength(20)
  origins: string[]

  @description('Allowed return URLs after a sign-in, compared exactly.')
  returnUrls: string[]?

  @description('Redirect URIs of an OAuth client, compared exactly.')
  redirectUris: string[]?

  @description('True if an OAuth client accepts single sign-on from other front ends.')
  singleSignOn: bool?

  @description('OAuth clients: the algorithm that signs their ID tokens. RS256 if it is left out.')
  idTokenAlgorithm: ('RS256' | 'ES256')?

  @description('OAuth clients with a server: their public keys, for private_key_jwt.')
  jwks: jsonWebKeySet?

  @description('OAuth clients with a server: the https URL of their public keys.')
  jwksUri: string?

  @description('OAuth clients with a server whose library sends a client assertion several times: true accepts it until it expires, at most ten minutes later.')
  allowAssertionReuse: bool?

  @description('Allowed URLs after a sign-out, compared exactly.')
  signedOutUrls: string[]?

  @description('Values of prompt that /login sends to the provider.')
  prompts: ('login' | 'select_account' | 'consent' | 'none')[]?

  @description('Claims of the ID token of the provider that the front end receives.')
  @maxLength(20)
  claims: string[]?

  @description('Ids of the tenants whose people may use the front end. Only with tenantId organizations or common.')
  @maxLength(100)
  tenants: string[]?

  @description('Ids of the identity providers of Broker__Providers at which its people sign in. The primary one if it is left out.')
  @maxLength(20)
  providers: string[]?

  @description('APIs for which the front end gets access tokens.')
  apis: frontEndApi[]?
}

@description('Public keys of an OAuth client. RFC 7517.')
type jsonWebKeySet = {
  @minLength(1)
  @maxLength(10)
  keys: jsonWebKey[]
}

@description('A public key: members that are texts.')
type jsonWebKey = {
  kty: 'RSA' | 'EC' | 'OKP'
  *: string
}

var filler = '####################################'

@export()
@description('True if a text is a GUID.')
func isGuid(value string) bool =>
  length(value) == 36 && empty(filter(
    range(0, 36),
    position =>
      !contains(
        contains([8, 13, 18, 23], position) ? '-' : '0123456789abcdef',
        // The filler prevents an index out of range: Bicep evaluates both sides of the &&.
        substring('${toLower(value)}${filler}', position, 1)
      )
  ))

@export()
@description('True if a part of the name of an environment is prod, prd, live or production.')
func isProduction(environmentName string) bool =>
  !empty(filter(
    split(replace(replace(toLower(environmentName), '_', '-'), '.', '-'), '-'),
    part =>
      (startsWith(part, 'prod') && (!startsWith(part, 'product') || startsWith(part, 'production'))) || endsWith(
        part,
        'prod'
      ) || contains(['prd', 'live'], part)
  ))

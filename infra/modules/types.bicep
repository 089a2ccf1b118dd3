metadata name = 'Types'
metadata description = 'What the templates share: tags, names, front ends and the entries of an access policy.'

@export()
@description('Tags of every resource: name and value.')
type tags = {
  *: string
}

@export()
@description('Names of all resources: computed once, in broker.bicep, and passed on.')
type resourceNames = {
  @description('User-assigned identity of the broker.')
  identity: string

  @description('Key Vault.')
  vault: string

  @description('Storage account.')
  storage: string

  @description('Blob container that holds the deployed package.')
  packageContainer: string

  @description('Blob container for events that could not be delivered.')
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

  @description('Action group that the alerts go to.')
  actionGroup: string
}

@export()
@description('What one identity may do in the vault with certificates.')
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
@description('What one identity may do in the vault with keys.')
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
@description('Somebody else in the vault: a person, group or application, by its object id.')
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
@description('An API that a front end may get access tokens for.')
@sealed()
type frontEndApi = {
  @description('What the front end calls it.')
  @minLength(1)
  @maxLength(64)
  name: string

  @description('Scopes at the identity provider, in full, all of one resource.')
  @minLength(1)
  @maxLength(20)
  scopes: string[]
}

@export()
@description('A front end that may send people to the broker; docs/front-ends.schema.json has the rest of the rules.')
@sealed()
type frontEnd = {
  @description('Its name: the parameter frontend, and part of its cookie.')
  @minLength(1)
  @maxLength(32)
  id: string

  @description('How it gets its tokens.')
  kind: ('session' | 'oauth')?

  @description('Its origins, exactly as a browser sends them.')
  @minLength(1)
  @maxLength(20)
  origins: string[]

  @description('Where a sign-in may end, exactly.')
  returnUrls: string[]?

  @description('OAuth clients: its redirect URIs, compared exactly.')
  redirectUris: string[]?

  @description('OAuth clients: whether a browser that signed in at another front end is signed in here silently.')
  singleSignOn: bool?

  @description('Where the browser may go after a sign-out, exactly.')
  signedOutUrls: string[]?

  @description('Values of prompt that /login passes on.')
  prompts: ('login' | 'select_account' | 'consent' | 'none')[]?

  @description('APIs that it may get access tokens for.')
  apis: frontEndApi[]?
}

var filler = '####################################'

@export()
@description('Whether a text is written as a GUID.')
func isGuid(value string) bool =>
  length(value) == 36 && empty(filter(
    range(0, 36),
    position =>
      !contains(
        contains([8, 13, 18, 23], position) ? '-' : '0123456789abcdef',
        // Filled up, since both sides of the && are evaluated: a short text must not end in an index out of range.
        substring('${toLower(value)}${filler}', position, 1)
      )
  ))

@export()
@description('Whether the name of an environment says production: prod, prd, live or production as one of its parts.')
func isProduction(environmentName string) bool =>
  !empty(filter(
    split(replace(replace(toLower(environmentName), '_', '-'), '.', '-'), '-'),
    part =>
      (startsWith(part, 'prod') && (!startsWith(part, 'product') || startsWith(part, 'production'))) || endsWith(
        part,
        'prod'
      ) || contains(['prd', 'live'], part)
  ))

/** The settings of the primary identity provider, and of those beside it. */
import * as z from 'zod/mini'
import { checkAuthority, checkGraphUrl, checkInstance, checkMetadataUrl } from './addresses.ts'
import { azureAddress, declare } from './declare.ts'
import { checkAnyClientId, checkTenant, checkTenantId } from './identifiers.ts'
import { checkPersonScopes } from './openid-scopes.ts'
import { checkInvitations, checkSignUpRole, checkTenants, listOf, parseTenants } from './tenant-list.ts'
import { guid, oneOf, parsedText, text, yesOrNo } from './texts.ts'

export const providerDeclarations = {
  providers: declare({
    name: 'Broker__Providers',
    section: 'Identity provider',
    sentence:
      'Identity providers beside the primary one, which the other settings of this section describe. docs/providers.md explains how one of several is chosen.',
    bounds: 'a JSON array that matches providers.schema.json',
    optional: true,
    example:
      '[{"id":"partner","kind":"openid","name":"Partner staff","authority":"https://login.partner.example","clientId":"contoso-broker"}]',
    schema: z.string(),
  }),
  instance: declare({
    name: 'AzureAd__Instance',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence: 'The login address of your Azure cloud, without the tenant.',
    bounds: 'login host of an Azure cloud; https on loopback',
    example: 'https://login.microsoftonline.com/',
    local: 'https://localhost:7171/',
    ...azureAddress(checkInstance, (value) => `${new URL(value).origin}/`),
  }),
  tenantId: declare({
    name: 'AzureAd__TenantId',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'The GUID of the tenant whose people sign in. `organizations` for people of many tenants, together with Broker__Tenants; `common` where personal accounts may sign in too, together with Broker__AllowPersonalAccounts.',
    bounds: 'a GUID, `organizations` or `common`',
    example: 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55',
    local: '11111111-1111-4111-8111-111111111111',
    schema: parsedText(checkTenant, (value) => value.toLowerCase()),
  }),
  tenants: declare({
    name: 'Broker__Tenants',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'The tenants whose people may sign in, where AzureAd__TenantId is `organizations` or `common`. A list of tenant ids; a domain behind a colon is the name that pages show for it. Or `signed-up`: the tenants that an administrator signed up at /signup, or an operator added.',
    bounds: 'tenant ids separated by commas, each with `:domain` where wanted; or `signed-up`',
    optional: true,
    example: 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55:contoso.com,0f3c6d1e-5b7a-4c2d-8e9f-1a2b3c4d5e6f',
    schema: parsedText(checkTenants, parseTenants),
  }),
  homeTenantId: declare({
    name: 'Broker__HomeTenantId',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'The tenant of the app registration, where AzureAd__TenantId is `organizations` or `common`. Entra ID issues tokens to the application itself there only; the roll of the certificate needs them.',
    bounds: 'a GUID',
    optional: true,
    example: 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55',
    schema: parsedText(checkTenantId, (value) => value.toLowerCase()),
  }),
  allowGuests: declare({
    name: 'Broker__AllowGuests',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'Whether a guest of a tenant may sign in there. Without this setting: yes where AzureAd__TenantId is one tenant, no where it is for many.',
    bounds: '`true` or `false`',
    optional: true,
    example: 'false',
    schema: yesOrNo(),
  }),
  allowPersonalAccounts: declare({
    name: 'Broker__AllowPersonalAccounts',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'true where personal Microsoft accounts may sign in, beside the tenants of Broker__Tenants. Only with AzureAd__TenantId=common.',
    bounds: '`true` or `false`',
    optional: true,
    example: 'true',
    schema: yesOrNo(),
  }),
  signUpRole: declare({
    name: 'Broker__SignUpRole',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'An app role of the app registration, by its value. A person with this role may sign the own organization up, beside its administrators. Only with Broker__Tenants=signed-up.',
    bounds: '1 to 120 characters without white space',
    optional: true,
    example: 'Broker.SignUp',
    schema: text(checkSignUpRole),
  }),
  invitations: declare({
    name: 'Broker__Invitations',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'Limits sign-up to these organizations: domains and tenant ids. Without it, every organization may sign up. Only with Broker__Tenants=signed-up.',
    bounds: 'domains and tenant ids, separated by commas',
    optional: true,
    example: 'contoso.com,fabrikam.com',
    schema: parsedText(checkInvitations, listOf),
  }),
  clientId: declare({
    name: 'AzureAd__ClientId',
    section: 'Identity provider',
    sentence: "The broker's application (client) id in that tenant, or its client id at another provider.",
    bounds: 'a GUID; other text for another provider',
    example: '0c7d3f52-2a54-4b5e-8c0e-5a1f6d9be310',
    local: '22222222-2222-4222-8222-222222222222',
    // Entra ID accepts a GUID only: provider-relations.ts checks that.
    schema: text(checkAnyClientId),
  }),
  authority: declare({
    name: 'Broker__Authority',
    section: 'Identity provider',
    about: 'other providers',
    sentence:
      'The issuer of any other OpenID provider, in place of AzureAd__Instance and AzureAd__TenantId. The broker reads its metadata from there; the metadata must name exactly the same issuer. docs/providers.md lists the settings of each provider.',
    bounds: 'https, without a query',
    optional: true,
    example: 'https://login.example.com/realms/staff',
    schema: text(checkAuthority),
  }),
  metadataUrl: declare({
    name: 'Broker__MetadataUrl',
    section: 'Identity provider',
    about: 'other providers',
    sentence:
      'The URL of the provider’s metadata, where that is not at the issuer: a custom domain of Entra External ID, or a policy of Azure AD B2C. The metadata must still name exactly the issuer in Broker__Authority. Risk: the host of this URL decides which keys sign ID tokens.',
    bounds: 'https, with the whole path; a query is permitted',
    optional: true,
    example: 'https://login.contoso.com/f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55/v2.0/.well-known/openid-configuration',
    schema: text(checkMetadataUrl),
  }),
  providerKind: declare({
    name: 'Broker__ProviderKind',
    section: 'Identity provider',
    about: 'other providers',
    sentence:
      'The kind of the provider in Broker__Authority. Write adfs for AD FS of Windows Server 2019 or later: its client assertions, scopes, sign-out and errors differ from those of other OpenID providers.',
    bounds: '`openid` or `adfs`',
    default: 'openid',
    example: 'openid',
    schema: oneOf(['openid', 'adfs']),
  }),
  offlineAccess: declare({
    name: 'Broker__OfflineAccess',
    section: 'Identity provider',
    about: 'other providers',
    sentence:
      'Whether the broker requests the scope offline_access, for which a provider issues a refresh token. Without this setting, the broker requests it where the provider’s metadata lists it.',
    bounds: '`true` or `false`',
    optional: true,
    example: 'true',
    schema: yesOrNo(),
  }),
  openIdScopes: declare({
    name: 'Broker__OpenIdScopes',
    section: 'Identity provider',
    about: 'other providers',
    sentence:
      'The scopes about the person that the provider accepts, where it refuses one of the usual ones. Without this setting, the broker requests openid and profile at each sign-in; email, where an OAuth client requests it or a front end has registered one of its claims; address and phone likewise, where the provider’s metadata lists them.',
    bounds: '`openid`, and of `profile`, `email`, `address`, `phone` the accepted ones, separated by spaces',
    optional: true,
    example: 'openid email phone',
    schema: parsedText(
      (value) => checkPersonScopes(value.split(' ')),
      (value): readonly string[] => value.split(' '),
    ),
  }),
  applicationSigningKeys: declare({
    name: 'Broker__ApplicationSigningKeys',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'true where the tenant signs the tokens of this application with keys of its own, as a claims-mapping policy requires. Metadata and keys are then read with `?appid=`.',
    bounds: '`true` or `false`',
    optional: true,
    example: 'true',
    schema: yesOrNo(),
  }),
  continuousAccess: declare({
    name: 'Broker__ContinuousAccess',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      'Whether the broker announces the client capability cp1 (continuous access evaluation). APIs that evaluate access continuously then receive longer access tokens, and reject them by a claims challenge as soon as a person is blocked. Write false where front ends of such APIs do not handle the challenge (docs/front-ends.md).',
    bounds: '`true` or `false`',
    default: 'true',
    schema: yesOrNo(),
  }),
  applicationObjectId: declare({
    name: 'Broker__ApplicationObjectId',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      "Object id of the same app registration (not of its service principal). The broker registers the certificate's next version there. Without it, an operator registers each version by hand.",
    bounds: 'a GUID',
    optional: true,
    example: '5d2f8c1e-7a3b-4e6d-9f10-2b4c6d8e0a12',
    local: '55555555-5555-4555-8555-555555555555',
    schema: guid('Write the Object ID, as the overview page of the app registration shows it.'),
  }),
  graphUrl: declare({
    name: 'Broker__GraphUrl',
    section: 'Identity provider',
    about: 'Entra ID',
    sentence:
      "Microsoft Graph, which registers the certificate's next version. Without this setting, Graph of the instance's cloud.",
    bounds: 'Graph of an Azure cloud; https on loopback',
    optional: true,
    example: 'https://graph.microsoft.com',
    local: 'https://localhost:7174',
    ...azureAddress(checkGraphUrl, (value) => new URL(value).origin),
  }),
  responseMode: declare({
    name: 'Broker__ResponseMode',
    section: 'Identity provider',
    sentence:
      'How the provider sends its response to /callback. form_post keeps the code out of URLs and logs. query puts the code into the URL; it is for providers that do not support form_post.',
    bounds: '`form_post` or `query`',
    default: 'form_post',
    local: 'form_post',
    schema: oneOf(['form_post', 'query']),
  }),
  responseType: declare({
    name: 'Broker__ResponseType',
    section: 'Identity provider',
    sentence:
      'The response that the provider sends to /callback. code id_token is the hybrid flow: an ID token comes with the code, is checked before the code is redeemed, and has to match the ID token of the token endpoint. It requires form_post. docs/providers.md describes when to use it.',
    bounds: '`code` or `code id_token`',
    default: 'code',
    local: 'code',
    schema: oneOf(['code', 'code id_token']),
  }),
} as const

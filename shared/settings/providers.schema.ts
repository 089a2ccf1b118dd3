/**
 * The identity providers beside the primary one: one JSON setting, `Broker__Providers`. Each entry has what the
 * settings of the primary provider have, under shorter names. The schema is also published
 * (docs/providers.schema.json); checks cover the rules that JSON Schema cannot express.
 */
import * as z from 'zod/mini'
import {
  checkAdfsIssuer,
  checkAssertionAudience,
  checkAuthority,
  checkGraphUrl,
  checkInstance,
  checkMetadataPlace,
  checkMetadataUrl,
  findCloud,
  graphUrlOf,
  tokenExchangeUrlOf,
} from './addresses.ts'
import type { AddedHosts } from './addresses.ts'
import { assertionTypes } from './assertion-types.ts'
import type { AssertionType } from './assertion-types.ts'
import { checkClaimName } from './claim-names.ts'
import {
  checkAnyClientId,
  checkEntraClientId,
  checkGuid,
  checkTenant,
  checkTenantId,
  domainPattern,
  fixOfPlainId,
  plainIdPattern,
} from './identifiers.ts'
import { findRepeated, listOf, memberOf, membersOf, readJsonSetting, unknownOf } from './json-setting.ts'
import { withMessage, withMessages } from './messages.ts'
import { checkPersonScopes, personScopes } from './openid-scopes.ts'
import type { Refusal, SettingProblem } from './settings-error.ts'
import {
  checkInvitations,
  checkSignUpRole,
  checkTenants,
  findTenantProblems,
  listOf as entriesOf,
  manyTenantsOf,
  parseTenants,
} from './tenant-list.ts'
import type { ManyTenants, ManyTenantsValues } from './tenant-list.ts'

/** Entra ID, by a tenant; or any other provider, by its issuer. */
export type ProviderIdentity =
  | {
      /** Ends in a slash. */
      readonly instance: string
      /** A GUID; or `organizations` or `common`, and then `manyTenants` is there. */
      readonly tenantId: string
    }
  | { readonly authority: string; readonly kind: 'openid' | 'adfs'; readonly metadataUrl?: string | undefined }

/** How people and front ends name a provider. */
export interface ProviderNames {
  /** In the registration of a front end, in the parameter `provider`, and in the path of its redirect URI. */
  readonly id: string
  /** On the page on which a person chooses. */
  readonly displayName: string
  /** Domains of user names: a `login_hint` or `domain_hint` of one of them chooses this provider. */
  readonly domains: readonly string[]
  /** The registered claims that this provider may set for a front end; undefined: all. */
  readonly claims?: readonly string[] | undefined
  /** The provider's spelling of registered scopes of APIs; undefined: as they are registered. */
  readonly scopes?: Readonly<Record<string, string>> | undefined
}

/** The managed identity whose token is the second credential. */
export interface SecondCredential {
  readonly managedIdentityClientId: string
  /** The audience of the token. */
  readonly tokenExchangeUrl: string
}

/**
 * A provider beside the primary one. `provider` and `credential` have the members that `Settings` has for the primary.
 */
export interface OtherProvider extends ProviderNames {
  readonly provider: {
    readonly identity: ProviderIdentity
    readonly clientId: string
    readonly applicationObjectId: string | undefined
    readonly graphUrl: string | undefined
    readonly responseMode: 'form_post' | 'query'
    readonly responseType: 'code' | 'code id_token'
    readonly offlineAccess: boolean | undefined
    readonly openIdScopes: readonly string[] | undefined
    readonly applicationSigningKeys: boolean | undefined
    readonly allowGuests: boolean | undefined
    readonly continuousAccess: boolean | undefined
    readonly manyTenants: ManyTenants | undefined
  }
  readonly credential: {
    readonly second: SecondCredential | undefined
    readonly assertionReuse: boolean
    readonly assertionAudience: string | undefined
    readonly assertionAlgorithm: 'PS256' | 'RS256' | undefined
    readonly assertionKeyId: boolean
    readonly assertionType: AssertionType | undefined
  }
}

/** The result of `Broker__Providers`. */
export interface ProviderList {
  /** undefined: the setting does not name the primary provider. */
  readonly primary: ProviderNames | undefined
  readonly others: readonly OtherProvider[]
  /** In the order of the entries. */
  readonly ids: readonly string[]
}

/** The id of the primary provider where no entry names it. */
export const primaryId = 'primary'

function described(description: string, examples?: readonly unknown[]) {
  return z.meta({ description, ...(examples ? { examples: [...examples] } : {}) })
}

function checked(check: (value: string) => Refusal | undefined, description: string, example: string) {
  return z.optional(z.string().check(z.maxLength(1024), withMessage(check), described(description, [example])))
}

/** Built when it is needed: most brokers have one provider, and a cold start pays for each schema. */
function entrySchema() {
  return z
    .strictObject({
      id: z
        .string()
        .check(
          z.regex(plainIdPattern),
          described(
            'Id of the provider: in `providers` of a front end, in the parameter `provider` of /login, and in its redirect URI, https://<broker>/callback/<id>.',
            ['partner'],
          ),
        ),
      kind: z
        .enum(['primary', 'entra', 'openid', 'adfs'])
        .check(
          described(
            'entra: a tenant of Entra ID. adfs: AD FS of Windows Server 2019 or later. openid: any other OpenID provider. primary: no further provider; the entry names the one of the settings AzureAd__… or Broker__Authority, whose id is `primary` without such an entry.',
          ),
        ),
      name: z
        .string()
        .check(
          z.regex(/^(?=.*\S)[^\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]{1,64}$/u),
          described('Name of the provider on the page on which a person chooses.', ['Partner staff']),
        ),
      domains: z
        .optional(z.array(z.string().check(z.regex(domainPattern))).check(z.maxLength(200), withMessages(onlyOnce)))
        .check(
          described(
            'Domains of the user names of this provider, in lower case. A login_hint or domain_hint of one of them chooses the provider. Of a provider beside the primary one, only email addresses of these domains reach a front end.',
            [['partner.example']],
          ),
        ),
      claims: z
        .optional(z.array(z.string().check(withMessage(checkClaimName))).check(z.maxLength(20), withMessages(onlyOnce)))
        .check(
          described(
            'Claims of this provider that front ends receive where they have registered them: roles and groups of one provider must not count as those of another one. Without it: none. The primary provider may set all.',
            [['department']],
          ),
        ),
      scopes: z
        .optional(z.record(scopeText(), scopeText()).check(withMessages(onlyOneMeaning)))
        .check(
          described(
            'The spelling of scopes of APIs at this provider, by their spelling in Broker__FrontEnds. Without it, they are sent as they are registered.',
            [{ 'api://orders/orders.read': 'orders.read' }],
          ),
        ),
      clientId: checked(
        checkAnyClientId,
        "The broker's client id at this provider; for Entra ID a GUID.",
        '0c7d3f52-2a54-4b5e-8c0e-5a1f6d9be310',
      ),
      instance: z.optional(
        z
          .string()
          .check(z.maxLength(1024), described('entra: as AzureAd__Instance.', ['https://login.microsoftonline.com/'])),
      ),
      tenantId: checked(checkTenant, 'entra: as AzureAd__TenantId.', 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55'),
      tenants: checked(checkTenants, 'entra: as Broker__Tenants.', 'signed-up'),
      homeTenantId: checked(checkTenantId, 'entra: as Broker__HomeTenantId.', 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55'),
      allowPersonalAccounts: z.optional(z.boolean().check(described('entra: as Broker__AllowPersonalAccounts.'))),
      signUpRole: checked(checkSignUpRole, 'entra: as Broker__SignUpRole.', 'Broker.SignUp'),
      invitations: checked(checkInvitations, 'entra: as Broker__Invitations.', 'contoso.com,fabrikam.com'),
      managedIdentityClientId: checked(
        (value) => checkGuid(value, 'Write the client id of the user-assigned managed identity.'),
        'entra: the client id of a user-assigned managed identity whose tokens are the second credential at this provider, as AzureAd__ClientCredentials__1__ManagedIdentityClientId. Without it: none.',
        '6a1d0f2e-3b4c-4d5e-8f60-718293a4b5c6',
      ),
      applicationObjectId: checked(
        (value) => checkGuid(value, 'Write the Object ID, as the overview page of the app registration shows it.'),
        'entra: as Broker__ApplicationObjectId. Without it, an operator registers each version of the certificate by hand.',
        '5d2f8c1e-7a3b-4e6d-9f10-2b4c6d8e0a12',
      ),
      graphUrl: z.optional(
        z
          .string()
          .check(
            z.maxLength(1024),
            described("entra: as Broker__GraphUrl. Without it, Graph of the instance's cloud."),
          ),
      ),
      applicationSigningKeys: z.optional(z.boolean().check(described('entra: as Broker__ApplicationSigningKeys.'))),
      allowGuests: z.optional(z.boolean().check(described('entra: as Broker__AllowGuests.'))),
      continuousAccess: z.optional(z.boolean().check(described('entra: as Broker__ContinuousAccess.'))),
      authority: checked(
        checkAuthority,
        'openid, adfs: the issuer, as Broker__Authority.',
        'https://login.partner.example',
      ),
      metadataUrl: checked(
        checkMetadataUrl,
        'openid: as Broker__MetadataUrl.',
        'https://login.partner.example/.well-known/openid-configuration?p=sign-in',
      ),
      offlineAccess: z.optional(z.boolean().check(described('openid: as Broker__OfflineAccess.'))),
      openIdScopes: z.optional(
        z
          .array(z.enum(personScopes))
          .check(
            withMessage(checkPersonScopes),
            described('openid: as Broker__OpenIdScopes, as a list.', [['openid', 'email', 'phone']]),
          ),
      ),
      assertionAudience: checked(
        checkAssertionAudience,
        'openid, adfs: as Broker__AssertionAudience.',
        'https://login.partner.example/token',
      ),
      assertionAlgorithm: z.optional(
        z.enum(['PS256', 'RS256']).check(described('openid: as Broker__AssertionAlgorithm.')),
      ),
      assertionKeyId: z.optional(z.boolean().check(described('openid, adfs: as Broker__AssertionKeyId.'))),
      assertionType: z.optional(z.enum(assertionTypes).check(described('openid: as Broker__AssertionType.'))),
      assertionReuse: z.optional(z.boolean().check(described('As Broker__AssertionReuse.'))),
      responseType: z.optional(
        z.enum(['code', 'code id_token']).check(described('As Broker__ResponseType. Without it: code.')),
      ),
      responseMode: z.optional(
        z.enum(['form_post', 'query']).check(described('As Broker__ResponseMode. Without it: form_post.')),
      ),
    })
    .check(withMessages(checkKind))
}

/** Schema of `Broker__Providers`. */
export function providersSchema() {
  return z.array(entrySchema()).check(
    z.maxLength(20),
    withMessages(checkTogether),
    z.meta({
      title: 'Identity providers of the certificate token broker',
      description: 'The value of the app setting Broker__Providers: the identity providers beside the primary one.',
      examples: [
        [
          { id: 'staff', kind: 'primary', name: 'Contoso staff', domains: ['contoso.com'] },
          {
            id: 'partner',
            kind: 'openid',
            name: 'Partner staff',
            domains: ['partner.example'],
            authority: 'https://login.partner.example',
            clientId: 'contoso-broker',
          },
        ],
      ],
    }),
  )
}

/**
 * Reads the JSON of `Broker__Providers`.
 *
 * @param text as set; untrusted
 * @param name of the setting, for the problems
 * @param added hosts of Broker__AdditionalHosts
 * @returns the providers, or every problem
 */
export function parseProviders(text: string, name: string, added?: AddedHosts): ProviderList | SettingProblem[] {
  const read = readJsonSetting(text, name, {
    schema: providersSchema(),
    page: 'docs/providers.schema.json',
    describe: describeIssue,
    unknownMember: (key) => unknownOf(key, Object.keys(entrySchema().def.shape)),
    find: (json) => listOf(json).flatMap((one, index) => findForeignHosts(one, `${name}[${index}]`, added)),
  })
  if ('problems' in read) return read.problems
  const primary = read.value.find(({ kind }) => kind === 'primary')
  return {
    primary: primary && namesOf(primary),
    others: read.value.filter(({ kind }) => kind !== 'primary').map(toProvider),
    ids: read.value.map(({ id }) => id),
  }
}

type Entry = z.output<ReturnType<typeof entrySchema>>

function namesOf({ id, name, domains = [] }: Entry): ProviderNames {
  return { id, displayName: name, domains }
}

function toProvider(one: Entry): OtherProvider {
  const isEntra = one.kind === 'entra'
  const instance = `${new URL(one.instance ?? 'https://unused').origin}/`
  return {
    ...namesOf(one),
    claims: one.claims ?? [],
    ...(one.scopes === undefined ? {} : { scopes: one.scopes }),
    provider: {
      identity: isEntra
        ? { instance, tenantId: (one.tenantId ?? '').toLowerCase() }
        : {
            authority: one.authority ?? '',
            kind: one.kind === 'adfs' ? 'adfs' : 'openid',
            metadataUrl: one.metadataUrl,
          },
      clientId: isEntra ? (one.clientId ?? '').toLowerCase() : (one.clientId ?? ''),
      applicationObjectId: one.applicationObjectId?.toLowerCase(),
      graphUrl: one.graphUrl === undefined ? graphUrlOf(instance) : new URL(one.graphUrl).origin,
      responseMode: one.responseMode ?? 'form_post',
      responseType: one.responseType ?? 'code',
      offlineAccess: one.offlineAccess,
      openIdScopes: one.openIdScopes,
      applicationSigningKeys: one.applicationSigningKeys,
      allowGuests: one.allowGuests,
      continuousAccess: one.continuousAccess,
      manyTenants: manyTenantsOf(tenantValuesOf(one)),
    },
    credential: {
      second: secondOf(one.managedIdentityClientId, instance),
      assertionReuse: one.assertionReuse ?? isEntra,
      assertionAudience: one.assertionAudience,
      assertionAlgorithm: one.assertionAlgorithm,
      assertionKeyId: one.assertionKeyId ?? !isEntra,
      assertionType: one.assertionType,
    },
  }
}

/** The members of an entry as they are written. */
type TenantTexts = {
  readonly [Member in keyof ManyTenantsValues]?: (Member extends 'allowPersonalAccounts' ? boolean : string) | undefined
}

/** @param texts a value that is refused by itself counts as not set */
function tenantValuesOf(texts: TenantTexts): ManyTenantsValues {
  const { tenantId, tenants, homeTenantId, allowPersonalAccounts, signUpRole, invitations } = texts
  const read = <T>(
    text: string | undefined,
    check: (value: string) => Refusal | undefined,
    parse: (value: string) => T,
  ) => (typeof text === 'string' && !check(text) ? parse(text) : undefined)
  return {
    tenantId: read(tenantId, checkTenant, (value) => value.toLowerCase()),
    tenants: read(tenants, checkTenants, parseTenants),
    homeTenantId: read(homeTenantId, checkTenantId, (value) => value.toLowerCase()),
    allowPersonalAccounts,
    signUpRole: read(signUpRole, checkSignUpRole, (value) => value),
    invitations: read(invitations, checkInvitations, entriesOf),
  }
}

/** The token exchange accepts tokens for the audience of its cloud only; checkKind requires a known one. */
function secondOf(managedIdentityClientId: string | undefined, instance: string): SecondCredential | undefined {
  const tokenExchangeUrl = tokenExchangeUrlOf(instance)
  if (managedIdentityClientId === undefined || tokenExchangeUrl === undefined) return undefined
  return { managedIdentityClientId: managedIdentityClientId.toLowerCase(), tokenExchangeUrl }
}

const membersOfKind = {
  primary: [],
  entra: [
    'clientId',
    'instance',
    'tenantId',
    'applicationObjectId',
    'graphUrl',
    'applicationSigningKeys',
    'allowGuests',
    'continuousAccess',
    'tenants',
    'homeTenantId',
    'allowPersonalAccounts',
    'signUpRole',
    'invitations',
    'managedIdentityClientId',
  ],
  openid: [
    'clientId',
    'authority',
    'metadataUrl',
    'offlineAccess',
    'openIdScopes',
    'assertionAudience',
    'assertionAlgorithm',
    'assertionKeyId',
    'assertionType',
  ],
  adfs: ['clientId', 'authority', 'assertionAudience', 'assertionKeyId'],
} as const
const membersOfBoth = ['claims', 'scopes', 'assertionReuse', 'responseMode', 'responseType']
const requiredOfKind = {
  primary: [],
  entra: ['clientId', 'instance', 'tenantId'],
  openid: ['clientId', 'authority'],
  adfs: ['clientId', 'authority'],
} as const

/** A member of another kind would have no effect, but look as if it had. */
function checkKind(one: unknown) {
  const kind = memberOf(one, 'kind')
  if (kind !== 'primary' && kind !== 'entra' && kind !== 'openid' && kind !== 'adfs') return []
  const own: readonly string[] = [...membersOfKind[kind], ...(kind === 'primary' ? [] : membersOfBoth)]
  const known = [...new Set<string>([...membersOfKind.entra, ...membersOfKind.openid, ...membersOfBoth])]
  const has = (member: string) => memberOf(one, member) !== undefined
  const textOf = (member: string) => {
    const value = memberOf(one, member)
    return typeof value === 'string' ? value : undefined
  }
  const [clientId, authority, metadataUrl] = [textOf('clientId'), textOf('authority'), textOf('metadataUrl')]
  const guid = kind === 'entra' && clientId !== undefined ? checkEntraClientId(clientId) : undefined
  const notAdfs = kind === 'adfs' && authority !== undefined ? checkAdfsIssuer(authority) : undefined
  const misplaced =
    metadataUrl !== undefined && authority !== undefined ? checkMetadataPlace(metadataUrl, authority) : undefined
  const instance = textOf('instance')
  const hasAudience = instance === undefined || !URL.canParse(instance) || tokenExchangeUrlOf(instance) !== undefined
  const ofTenants =
    kind === 'entra' ? findTenantProblems(tenantValuesOf(one as TenantTexts), has, (member) => member) : []
  return [
    ...requiredOfKind[kind]
      .filter((member) => !has(member))
      .map((member) => ({ path: [member], problem: 'is missing', fix: `An entry of the kind ${kind} needs it.` })),
    ...known
      .filter((member) => has(member) && !own.includes(member))
      .map((member) => ({
        path: [member],
        problem: `does not belong to the kind ${kind}`,
        fix:
          kind === 'primary'
            ? 'Remove it: the settings AzureAd__… or Broker__Authority describe the primary provider.'
            : 'Remove it, or change the kind.',
      })),
    ...(memberOf(one, 'responseType') === 'code id_token' && memberOf(one, 'responseMode') === 'query'
      ? [
          {
            path: ['responseType'],
            problem: 'is code id_token, which requires form_post',
            fix: 'Delete responseMode or responseType.',
          },
        ]
      : []),
    ...(guid ? [{ path: ['clientId'], ...guid }] : []),
    ...ofTenants.map(({ member, ...problem }) => ({ path: [member], ...problem })),
    ...(has('managedIdentityClientId') && !hasAudience
      ? [
          {
            path: ['managedIdentityClientId'],
            problem: 'is for a token exchange whose audience the broker does not know in this cloud',
            fix: 'Delete it.',
          },
        ]
      : []),
    ...(misplaced ? [{ path: ['metadataUrl'], ...misplaced }] : []),
    ...(notAdfs ? [{ path: ['authority'], ...notAdfs }] : []),
  ]
}

/** The host of a cloud, or of Broker__AdditionalHosts; Graph is of the same cloud. */
function findForeignHosts(one: unknown, place: string, added: AddedHosts | undefined): SettingProblem[] {
  if (memberOf(one, 'kind') !== 'entra') return []
  const [instance, graphUrl] = [memberOf(one, 'instance'), memberOf(one, 'graphUrl')]
  const login = typeof instance === 'string' ? checkInstance(instance, added) : undefined
  const graph = typeof graphUrl === 'string' ? checkGraphUrl(graphUrl, added) : undefined
  const clouds = [instance, graphUrl].map((url) =>
    typeof url === 'string' && !login && !graph ? findCloud(url) : undefined,
  )
  const differ = clouds[0] !== undefined && clouds[1] !== undefined && clouds[0] !== clouds[1]
  return [
    ...(login ? [{ setting: `${place}.instance`, ...login }] : []),
    ...(graph ? [{ setting: `${place}.graphUrl`, ...graph }] : []),
    ...(differ
      ? [
          {
            setting: `${place}.graphUrl`,
            problem: 'is in another cloud than the instance',
            fix: 'Name services of one cloud.',
          },
        ]
      : []),
  ]
}

/** Ids, issuers and domains name one provider each; provider-relations.ts compares them with the primary provider. */
function checkTogether(all: unknown) {
  const list = listOf(all)
  const issuers = list.map((one) => {
    const [authority, tenant, instance] = ['authority', 'tenantId', 'instance'].map((member) => memberOf(one, member))
    if (typeof tenant !== 'string' || typeof instance !== 'string') return authority
    // As `toProvider` spells it: two spellings of an instance are one issuer.
    return `${URL.parse(instance)?.origin ?? ''} ${tenant.toLowerCase()}`
  })
  const domains = list.flatMap((one, index) =>
    listOf(memberOf(one, 'domains')).map((domain, at) => ({ domain, index, at })),
  )
  const primaries = list.flatMap((one, index) => (memberOf(one, 'kind') === 'primary' ? [index] : []))
  return [
    ...findRepeated(membersOf(all, 'id'), ['id'], 'Write a different id for each provider.'),
    ...findRepeated(
      issuers,
      ['kind'],
      'Write each issuer or tenant once: a response names its provider by the issuer.',
    ),
    ...domains.flatMap(({ domain, index, at }) =>
      domains.some((other) => other.domain === domain && other.index < index)
        ? [
            {
              path: [index, 'domains', at],
              problem: 'belongs to another provider too',
              fix: 'Write each domain at one provider.',
            },
          ]
        : [],
    ),
    ...primaries.slice(1).map((index) => ({
      path: [index, 'kind'],
      problem: 'is primary a second time',
      fix: 'Write one entry of the kind primary at most.',
    })),
  ]
}

/** RFC 6749 §3.3. */
function scopeText() {
  return z.string().check(z.maxLength(256), z.regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/))
}

/** A token for one API must not pass for a token of another one. */
function onlyOneMeaning(scopes: unknown) {
  const entries = typeof scopes === 'object' && scopes !== null ? Object.entries(scopes) : []
  return entries.flatMap(([registered, spelled], index) =>
    entries.findIndex((other) => other[1] === spelled) === index
      ? []
      : [
          {
            path: [registered],
            problem: 'has the spelling of another scope',
            fix: 'Write a different scope for each.',
          },
        ],
  )
}

function onlyOnce(values: unknown) {
  return findRepeated(listOf(values), [], 'Write it once.')
}

function describeIssue(issue: z.core.$ZodIssue): Refusal | undefined {
  const member = issue.path.at(-1)
  if (issue.code === 'invalid_value' && member === 'kind') {
    return { problem: 'is not a kind of provider', fix: 'Write "entra", "openid", "adfs" or "primary".' }
  }
  if (issue.code !== 'invalid_format') return undefined
  if (member === 'id') {
    return { problem: 'is not a provider id', fix: fixOfPlainId }
  }
  if (member === 'name') {
    return { problem: 'is not a name for people', fix: 'Write 1 to 64 characters, without control characters.' }
  }
  if (issue.path.includes('scopes')) {
    return { problem: 'is not a scope', fix: 'Write one scope, without spaces and quotation marks.' }
  }
  return {
    problem: 'is not a domain',
    fix: 'Write a domain in lower case, other alphabets as xn--…: partner.example.',
  }
}

/**
 * The registered front ends: one JSON setting, `Broker__FrontEnds`. The schema is also published
 * (docs/front-ends.schema.json); checks cover the rules that JSON Schema cannot express.
 */
import { createPublicKey } from 'node:crypto'
import * as z from 'zod/mini'
import { isSecureOrLoopback, originProblem, urlProblem } from './addresses.ts'
import { checkClaimName, claimNamePattern } from './claim-names.ts'
import { checkTenantId, fixOfPlainId, personalTenantId, plainIdPattern } from './identifiers.ts'
import { findRepeated, listOf, memberOf, membersOf, readJsonSetting, unknownOf, valueAt } from './json-setting.ts'
import { withMessage, withMessages } from './messages.ts'
import { openidScopes } from './openid-scopes.ts'
import type { Refusal, SettingProblem } from './settings-error.ts'

/** Values of `prompt` that /login passes on. OpenID Connect Core §3.1.2.1. */
export type Prompt = 'login' | 'select_account' | 'consent' | 'none'

/** A front end, parsed, with its defaults. */
export interface FrontEndSettings {
  /** The client id of OAuth clients; for a session front end part of its cookie's name, `__Host-session-ID`. */
  readonly id: string
  /** How it gets its tokens. */
  readonly kind: FrontEndKind
  /** Exact serialized origins; two front ends may share one. */
  readonly origins: readonly string[]
  /** Return URLs of a sign-in; `undefined` permits any path of the origins. */
  readonly returnUrls: readonly string[] | undefined
  /** Redirect URIs of an OAuth client; empty for a session front end. */
  readonly redirectUris: readonly string[]
  /** OAuth clients: whether a browser that signed in at another front end is signed in without interaction. */
  readonly singleSignOn: boolean
  /** OAuth clients: the algorithm of their ID tokens; RS256 where left out. */
  readonly idTokenAlgorithm?: 'RS256' | 'ES256' | undefined
  /**
   * Confidential OAuth clients: their public keys (RFC 7517 §5), or the https URL of them. A public client has neither.
   */
  readonly jwks?: Readonly<Record<string, unknown>> | undefined
  readonly jwksUri?: string | undefined
  /** Confidential OAuth clients: true accepts a client assertion several times. */
  readonly allowAssertionReuse?: boolean | undefined
  /** URLs to which a sign-out may return. */
  readonly signedOutUrls: readonly string[]
  readonly prompts: readonly Prompt[]
  /** Claims of the provider's ID token that it receives beside the person's names. */
  readonly claims?: readonly string[] | undefined
  /** Tenants whose people may use it; undefined: all tenants of the broker. */
  readonly tenants?: readonly string[] | undefined
  /**
   * Ids of the identity providers at which its people sign in, in the order of the page; undefined: the primary alone.
   */
  readonly providers?: readonly string[] | undefined
  readonly apis: readonly ApiSettings[]
}

/** session: a session cookie, on the broker's own site. oauth: codes and refresh tokens, on any site. */
export type FrontEndKind = 'session' | 'oauth'

/** An API for which a front end may request access tokens. */
export interface ApiSettings {
  readonly name: string
  /** In the provider's spelling; all of one resource. */
  readonly scopes: readonly string[]
  /**
   * Values of the OAuth parameter `resource` that select this API; undefined:
   * the part of its scopes before the last slash.
   */
  readonly resources?: readonly string[] | undefined
}

/** `none` is for OAuth clients; a session front end calls GET /session instead. */
const promptsOf: Readonly<Record<FrontEndKind, readonly Prompt[]>> = {
  session: ['login', 'select_account', 'consent'],
  oauth: ['login', 'select_account', 'consent', 'none'],
}

const exampleOrigin = 'https://app.example.com'
/**
 * The header Origin of the web view of a packaged application: `capacitor://localhost`, `chrome-extension://<id>`. The
 * schemes that are left out are misspellings of https, or have another form of origin, or `null`.
 */
const packagedOrigin = String.raw`(?!(h*t*ps?|wss?|ftp|file|data|blob|javascript|about):)[a-z][a-z0-9+.-]*://[a-z0-9._-]+`
// Permits no more than checkOrigin; the check covers canonical form and valid ports.
const originPattern = String.raw`^(https://[a-z0-9._:\[\]-]+|http://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]{1,5})?|${packagedOrigin})$`
/** RFC 6749 §3.3: scope-token; none of `openidScopes`. */
const scopePattern = String.raw`^(?!(${openidScopes.join('|')})$)[\x21\x23-\x5b\x5d-\x7e]+$`
const urlPattern = String.raw`^https?://[^\s#\\@]+$`

const unique = withMessages((members) => findRepeated(listOf(members), [], 'Write it once.'))

/** A list of at least one member and at most `most`, none of which occurs twice. */
function uniqueList<Item extends z.core.SomeType>(
  item: Item,
  most: number,
  meta: { readonly description: string; readonly examples: unknown[] },
) {
  return z.array(item).check(z.minLength(1), z.maxLength(most), unique, z.meta({ uniqueItems: true, ...meta }))
}

const origin = z
  .string()
  .check(
    withMessage(checkOrigin),
    z.meta({ pattern: originPattern, examples: [exampleOrigin, 'http://localhost:5173'] }),
  )

const url = (examples: string[]) =>
  z.string().check(z.maxLength(1024), withMessage(checkUrl), z.meta({ pattern: urlPattern, examples }))

/** RFC 8252 §7.1 and §8.4: a scheme by a domain name in reverse order. Without a dot, any application may claim it. */
const privateScheme = String.raw`[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:/[^\s#\\@]*`

/** An address of an OAuth client, which may be a native application. */
const clientUrl = (examples: string[]) =>
  z
    .string()
    .check(
      z.maxLength(1024),
      withMessage(checkClientUrl),
      z.meta({ pattern: `${urlPattern}|^${privateScheme}$`, examples }),
    )

const api = z.strictObject({
  name: z.string().check(
    z.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
    z.meta({
      description: 'Name of the API in the member `api` of POST /session/token.',
      examples: ['orders'],
    }),
  ),
  scopes: uniqueList(
    z.string().check(z.maxLength(256), withMessage(checkScope), z.meta({ pattern: scopePattern })),
    20,
    {
      description:
        'Scopes at the identity provider, in full. For Entra ID: the resource, a slash, the permission; all of one resource, because an access token has one audience. The broker adds openid, profile and offline_access.',
      examples: [['api://demo/orders.read']],
    },
  ),
  resources: z.optional(
    uniqueList(z.string().check(z.regex(/^[\x21-\x7e]{1,512}$/)), 10, {
      description:
        'OAuth clients: values of the parameter `resource` (RFC 8707) that select this API. Without it, the part of its scopes before the last slash.',
      examples: [['https://orders.example.com']],
    }),
  ),
})

const frontEnd = z
  .strictObject({
    id: z.string().check(
      z.regex(plainIdPattern),
      z.meta({
        description:
          'Id of the front end. For a session front end the parameter `frontend`, and part of its cookie, __Host-session-ID; for an OAuth client its `client_id`.',
        examples: ['spa'],
      }),
    ),
    kind: z._default(z.enum(['session', 'oauth']), 'session').check(
      z.meta({
        description:
          'How the front end gets its tokens. session: a session cookie; the front end and the broker share a site. oauth: authorization code and refresh token, as a public OAuth client; on any site.',
      }),
    ),
    origins: uniqueList(origin, 20, {
      description:
        'Origins of the front end, exactly as a browser sends them in the header Origin: https, or http on loopback; no path and no slash at the end. Behind the first one, an OAuth client may have that of a packaged application: capacitor://localhost, chrome-extension://ID.',
      examples: [[exampleOrigin]],
    }),
    returnUrls: z.optional(
      uniqueList(url([`${exampleOrigin}/signed-in`]), 50, {
        description:
          'Restricts the return URLs of a sign-in to these exact URLs on its origins. Without it, every path of the origins is accepted.',
        examples: [[`${exampleOrigin}/signed-in`]],
      }),
    ),
    redirectUris: z.optional(
      uniqueList(clientUrl([`${exampleOrigin}/callback`, 'com.example.app:/callback']), 50, {
        description:
          'OAuth clients: redirect URIs, compared exactly; https, http on loopback, or a private scheme of a native application (RFC 8252 §7.1). The port of http://127.0.0.1, http://[::1], and http://localhost without a port is not compared (§7.3).',
        examples: [[`${exampleOrigin}/callback`]],
      }),
    ),
    singleSignOn: z._default(z.boolean(), false).check(
      z.meta({
        description:
          'OAuth clients: true signs a browser in without interaction if it signed in at another front end of this broker. Otherwise the person selects the account first.',
      }),
    ),
    idTokenAlgorithm: z.optional(z.enum(['RS256', 'ES256'])).check(
      z.meta({
        description:
          'OAuth clients: the algorithm that signs their ID tokens; RS256 without it. ES256 costs a seventh of the processor time; not every client library accepts it.',
      }),
    ),
    jwks: z
      .optional(
        z.strictObject({
          keys: z
            .array(z.looseObject({ kty: z.enum(['RSA', 'EC', 'OKP']) }).check(withMessage(checkPublicKey)))
            .check(z.minLength(1), z.maxLength(10)),
        }),
      )
      .check(
        z.meta({
          description:
            'OAuth clients with a server: their public keys. The client is confidential then, and proves itself by private_key_jwt at /token and /revoke.',
        }),
      ),
    jwksUri: z.optional(
      z.string().check(
        z.maxLength(1024),
        withMessage(checkKeysUrl),
        z.meta({
          pattern: '^https://',
          description: 'As jwks: the https URL of the keys, which the broker reads once a day and when a key is new.',
          examples: ['https://app.example.com/jwks.json'],
        }),
      ),
    ),
    allowAssertionReuse: z.optional(z.boolean()).check(
      z.meta({
        description:
          'OAuth clients with a server whose library sends a client assertion several times (MSAL for Node): true accepts it until it expires, at most ten minutes later, also from a thief of the assertion. Without it, each one is accepted once.',
      }),
    ),
    signedOutUrls: z.optional(
      uniqueList(clientUrl([`${exampleOrigin}/goodbye`]), 50, {
        description:
          'Exact URLs to which a sign-out may return; for OAuth clients by the rules of redirectUris. Without it, the root of each origin.',
        examples: [[`${exampleOrigin}/goodbye`]],
      }),
    ),
    prompts: z.optional(z.array(z.enum(promptsOf.oauth)).check(unique)).check(
      z.meta({
        uniqueItems: true,
        description: 'Values of `prompt` that GET /login passes on. Without it, all of them. none: OAuth clients only.',
      }),
    ),
    claims: z.optional(
      uniqueList(z.string().check(withMessage(checkClaimName), z.meta({ pattern: claimNamePattern })), 20, {
        description:
          'Claims of the identity provider that the front end receives in /session, its ID tokens and userinfo. At most 2 KB for each session; the earlier ones have precedence.',
        examples: [['roles', 'groups']],
      }),
    ),
    tenants: z.optional(
      uniqueList(z.string().check(withMessage(checkTenantEntry)), 100, {
        description:
          'Limits the front end to people of these tenants of Entra ID, by their ids; 9188040d-6c67-4c5b-b112-36a304b66dad means personal accounts. Only where a provider is for many tenants (`organizations` or `common`). Without it, people of all its tenants may use it.',
        examples: [['f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55']],
      }),
    ),
    providers: z.optional(
      uniqueList(z.string().check(z.regex(plainIdPattern)), 20, {
        description:
          'Ids of the identity providers of Broker__Providers at which people of this front end may sign in, in the order in which a person sees them. Without it: the primary provider alone.',
        examples: [['primary', 'partner']],
      }),
    ),
    apis: z._default(z.array(api).check(z.maxLength(50), withMessages(checkNamesOnce)), []).check(
      z.meta({
        description:
          'APIs for which the front end may request access tokens. May be empty; the front end then only reads the signed-in person.',
      }),
    ),
  })
  .check(withMessages(checkReturnUrlsOnOrigins), withMessages(checkKind))

/** Schema of `Broker__FrontEnds`. */
export const frontEndsSchema = z.array(frontEnd).check(
  z.maxLength(100),
  withMessages(checkIdsOnce),
  z.meta({
    title: 'Front ends of the certificate token broker',
    description: 'The value of the app setting Broker__FrontEnds: the registered front ends.',
    examples: [
      [
        {
          id: 'spa',
          kind: 'session',
          origins: [exampleOrigin],
          returnUrls: [`${exampleOrigin}/signed-in`],
          signedOutUrls: [`${exampleOrigin}/goodbye`],
          prompts: ['select_account'],
          apis: [{ name: 'orders', scopes: ['api://orders/orders.read'] }],
        },
        {
          id: 'partner-app',
          kind: 'oauth',
          origins: ['https://app.example.net'],
          redirectUris: ['https://app.example.net/callback'],
          apis: [{ name: 'orders', scopes: ['api://orders/orders.read'] }],
        },
      ],
    ],
  }),
)

/**
 * Reads the JSON of `Broker__FrontEnds`.
 *
 * @param text as set; untrusted
 * @param name of the setting, for the problems
 * @param isEntra whether scopes of a front end that takes these providers (undefined: the primary alone) must have the
 *   form that Entra ID requires
 * @returns the front ends, or every problem
 */
export function parseFrontEnds(
  text: string,
  name: string,
  isEntra: (providers: readonly unknown[] | undefined) => boolean = () => true,
): readonly FrontEndSettings[] | SettingProblem[] {
  const needsResources = (one: unknown) => {
    const providers = memberOf(one, 'providers')
    return isEntra(Array.isArray(providers) ? providers : undefined)
  }
  const read = readJsonSetting(text, name, {
    schema: frontEndsSchema,
    page: 'docs/front-ends.schema.json',
    describe: describeIssue,
    unknownMember,
    find: (json) => findForeignScopes(json, name, needsResources),
  })
  if ('problems' in read) return read.problems
  return read.value.map(({ returnUrls, redirectUris, signedOutUrls, prompts, ...rest }) => ({
    ...rest,
    returnUrls,
    redirectUris: redirectUris ?? [],
    prompts: prompts ?? promptsOf[rest.kind],
    signedOutUrls: signedOutUrls ?? rest.origins.filter((one) => !isPackagedOrigin(one)).map((origin) => `${origin}/`),
  }))
}

/** Distinguishes the two results of `parseFrontEnds`. */
export function areProblems(answer: readonly FrontEndSettings[] | SettingProblem[]): answer is SettingProblem[] {
  return answer.some((one) => 'problem' in one)
}

function isPackagedOrigin(value: unknown): boolean {
  return typeof value === 'string' && new RegExp(`^${packagedOrigin}$`).test(value)
}

function checkOrigin(value: string): Refusal | undefined {
  const problem = isPackagedOrigin(value) ? undefined : originProblem(value)
  if (problem === undefined) return undefined
  return {
    problem,
    fix: `Write it as a browser sends it in the header Origin: scheme and host in lower case (other alphabets as xn--…), the port only where it is not the default, no slash at the end: ${exampleOrigin}, or http://localhost:5173 on a laptop.`,
  }
}

function checkUrl(value: string): Refusal | undefined {
  const problem = urlProblem(value) ?? exactUrlProblem(value)
  if (problem === undefined) return undefined
  return {
    problem,
    fix: `Write one exact URL as a browser's address bar shows it: https (http on loopback), host in lower case, at least a slash after the host, no fragment: ${exampleOrigin}/signed-in.`,
  }
}

function checkClientUrl(value: string): Refusal | undefined {
  const isPrivate = hasPrivateScheme(value) && URL.canParse(value)
  if (isPrivate && value === new URL(value).href) return undefined
  const refusal = checkUrl(value)
  if (!refusal || /^https?:/i.test(value)) return refusal
  const ofNative = 'A private scheme of a native application is in lower case and has a dot: com.example.app:/callback.'
  return { ...refusal, fix: `${refusal.fix} ${ofNative}` }
}

function hasPrivateScheme(value: unknown): boolean {
  return typeof value === 'string' && new RegExp(`^${privateScheme}$`).test(value)
}

function exactUrlProblem(value: string): string | undefined {
  if (value.includes('#')) return 'has a fragment'
  if (!isSecureOrLoopback(value)) return 'is http outside loopback'
  return value === new URL(value).href ? undefined : 'is not written as a browser writes it'
}

function checkKeysUrl(value: string): Refusal | undefined {
  const problem = urlProblem(value) ?? (value.startsWith('https://') ? exactUrlProblem(value) : 'is not https')
  return problem === undefined
    ? undefined
    : { problem, fix: 'Write one exact URL of https: https://app.example.com/jwks.json.' }
}

/** RFC 7518 §6: members of a private or symmetric key. */
const privateMembers: readonly string[] = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

function checkPublicKey(entry: object): Refusal | undefined {
  if (privateMembers.some((member) => Object.hasOwn(entry, member))) {
    return {
      problem: 'has the private part of a key',
      fix: 'Write the public part alone, and replace this key: it is known to all who can read the setting.',
    }
  }
  return isStrongKey(entry)
    ? undefined
    : {
        problem: 'is not a key that the broker accepts',
        fix: 'Write a public JWK: RSA of at least 2048 bits, P-256 or Ed25519.',
      }
}

function isStrongKey(entry: object): boolean {
  try {
    const { asymmetricKeyType: type, asymmetricKeyDetails: details } = createPublicKey({
      key: entry as Record<string, unknown>,
      format: 'jwk',
    })
    if (type === 'rsa') return (details?.modulusLength ?? 0) >= 2048
    return type === 'ed25519' || details?.namedCurve === 'prime256v1'
  } catch {
    return false
  }
}

/** Compared with the claim `tid`, which is in lower case. */
function checkTenantEntry(value: string): Refusal | undefined {
  // Where a provider allows personal accounts: provider-relations.ts.
  if (value === personalTenantId) return undefined
  return (
    checkTenantId(value) ??
    (value === value.toLowerCase()
      ? undefined
      : { problem: 'has capital letters', fix: "Write the tenant's GUID in lower case." })
  )
}

function checkScope(value: string): Refusal | undefined {
  if (openidScopes.includes(value)) {
    return {
      problem: 'is not a scope of an API',
      fix: 'Delete it: the broker adds openid, profile and offline_access, and the scopes of registered claims.',
    }
  }
  return new RegExp(scopePattern).test(value)
    ? undefined
    : { problem: 'has characters that are not allowed in a scope', fix: fixOfScope }
}

const fixOfScope = 'Write the resource, a slash and the permission, as the provider shows it: api://orders/orders.read.'

/** Scopes that Entra ID would refuse after the person has signed in. */
function findForeignScopes(
  json: unknown,
  name: string,
  needsResources: (frontEnd: unknown) => boolean,
): SettingProblem[] {
  return listOf(json).flatMap((one, frontEnd) =>
    listOf(needsResources(one) ? memberOf(one, 'apis') : undefined).flatMap((member, index) => {
      const place = `${name}[${frontEnd}].apis[${index}].scopes`
      const scopes = listOf(memberOf(member, 'scopes')).map((scope) => (typeof scope === 'string' ? scope : ''))
      const together = checkScopesTogether(scopes)
      return [
        ...scopes.flatMap((scope, at) =>
          scope === '' || hasResource(scope)
            ? []
            : [{ setting: `${place}[${at}]`, problem: 'names no resource', fix: fixOfScope }],
        ),
        ...(together ? [{ setting: place, ...together }] : []),
      ]
    }),
  )
}

function checkScopesTogether(scopes: readonly string[]): Refusal | undefined {
  if (new Set(scopes.map(resourceOf).filter((resource) => resource !== '')).size > 1) {
    return {
      problem: 'mix resources',
      fix: 'Register one API for each resource, because an access token has one audience (the part before the last slash of a scope).',
    }
  }
  if (scopes.length > 1 && scopes.some((scope) => scope.endsWith('/.default'))) {
    return { problem: 'mix .default with other scopes', fix: 'Write either .default alone or the scopes by name.' }
  }
  return undefined
}

/**
 * The part before the last slash: the App ID URI, which may itself end in a slash
 * (`https://database.windows.net//.default`).
 */
function resourceOf(scope: string): string {
  return scope.slice(0, Math.max(0, scope.lastIndexOf('/')))
}

function hasResource(scope: string): boolean {
  const resource = resourceOf(scope)
  // `api://orders.read` has a scheme before its last slash, and no resource.
  return /^[^/]/.test(resource) && !/^[a-z][a-z0-9+.-]*:\/{0,2}$/i.test(resource) && !scope.endsWith('/')
}

function checkNamesOnce(apis: unknown) {
  return findRepeated(membersOf(apis, 'name'), ['name'], 'Write a different name for each API of a front end.')
}

function checkIdsOnce(frontEnds: unknown) {
  return findRepeated(membersOf(frontEnds, 'id'), ['id'], 'Write a different id for each front end.')
}

function checkReturnUrlsOnOrigins(frontEnd: unknown) {
  const origins = listOf(memberOf(frontEnd, 'origins'))
  return listOf(memberOf(frontEnd, 'returnUrls')).flatMap((address, index) =>
    typeof address !== 'string' || !URL.canParse(address) || origins.includes(new URL(address).origin)
      ? []
      : [
          {
            path: ['returnUrls', index],
            problem: 'is on none of the front end’s origins',
            fix: 'Register its origin under origins, or remove it.',
          },
        ],
  )
}

/** A member of the other kind would have no effect, but look as if it had. */
function checkKind(frontEnd: unknown) {
  const has = (member: string) => memberOf(frontEnd, member) !== undefined
  const refuse = (member: string, problem: string, fix: string) => [{ path: [member], problem, fix }]
  const remove = 'Remove it, or change the kind.'
  const refuseEach = (member: string, isFaulty: (entry: unknown) => boolean, problem: string) =>
    listOf(memberOf(frontEnd, member)).flatMap((entry, index) =>
      isFaulty(entry)
        ? [{ path: [member, index], problem: `${problem}, which belongs to an OAuth client`, fix: remove }]
        : [],
    )
  if (memberOf(frontEnd, 'kind') === 'oauth') {
    return [
      ...(has('redirectUris')
        ? []
        : refuse('redirectUris', 'is missing', 'Write the URI that receives codes: https://app.example.com/callback.')),
      ...(has('returnUrls')
        ? refuse('returnUrls', 'belongs to a session front end', 'Write redirectUris instead.')
        : []),
      ...(has('jwks') && has('jwksUri') ? refuse('jwksUri', 'is beside jwks', 'Write one of both.') : []),
      ...(has('allowAssertionReuse') && !has('jwks') && !has('jwksUri')
        ? refuse('allowAssertionReuse', 'has no effect without jwks or jwksUri', 'Remove it, or write one of both.')
        : []),
      ...(isPackagedOrigin(listOf(memberOf(frontEnd, 'origins'))[0])
        ? refuse(
            'origins',
            'begins with the origin of a packaged application',
            'Write the origin of a page about the application first: the error pages of the broker link to it.',
          )
        : []),
    ]
  }
  return [
    ...(has('redirectUris') ? refuse('redirectUris', 'belongs to an OAuth client', remove) : []),
    ...refuseEach('origins', isPackagedOrigin, 'is the origin of a packaged application'),
    ...refuseEach('signedOutUrls', hasPrivateScheme, 'has a private scheme'),
    ...['idTokenAlgorithm', 'jwks', 'jwksUri', 'allowAssertionReuse'].flatMap((member) =>
      has(member) ? refuse(member, 'belongs to an OAuth client', remove) : [],
    ),
    ...(memberOf(frontEnd, 'singleSignOn') === true
      ? refuse('singleSignOn', 'belongs to an OAuth client', remove)
      : []),
    ...(listOf(memberOf(frontEnd, 'prompts')).includes('none')
      ? refuse('prompts', 'has none, which belongs to an OAuth client', 'Remove none; call GET /session instead.')
      : []),
  ]
}

/** The messages that zod's issue alone does not contain. */
function describeIssue(issue: z.core.$ZodIssue, json: unknown): Refusal | undefined {
  const member = issue.path.at(-1)
  switch (issue.code) {
    case 'invalid_value':
      if (member !== 'kind') return undefined
      return {
        problem: 'is not a kind of front end',
        fix:
          valueAt(json, issue.path) === 'cookie'
            ? 'Write "session"; "cookie" is the former name.'
            : 'Write "session" or "oauth".',
      }
    case 'invalid_format':
      return member === 'id' || issue.path.at(-2) === 'providers'
        ? {
            problem: `is not a ${member === 'id' ? 'front end' : 'provider'} id`,
            fix: fixOfPlainId,
          }
        : {
            problem: 'is not an API name',
            fix: 'Write 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first.',
          }
    default:
      return undefined
  }
}

function unknownMember(key: string, path: readonly PropertyKey[]): Refusal {
  // The former name of this member.
  if (key === 'way' && !path.includes('apis'))
    return { problem: 'has a new name', fix: 'Write kind: "session" or "oauth".' }
  return unknownOf(key, Object.keys((path.includes('apis') ? api : frontEnd).def.shape))
}

/**
 * The registered front ends: one JSON setting, `Broker__FrontEnds`. The schema here is also the published one
 * (docs/front-ends.schema.json), so what it can say stands in it, and the checks say what it can't.
 */
import * as z from 'zod/mini'
import { findFlaw, isSecureOrLoopback } from './addresses.ts'
import { findNearestName } from './nearest-name.ts'
import { refusalOf, refusing, refusingMembers } from './refusing.ts'
import type { Refusal, SettingProblem } from './settings-error.ts'

/** What /login may be asked to pass on as `prompt`. OpenID Connect Core §3.1.2.1. */
export type Prompt = 'login' | 'select_account' | 'consent' | 'none'

/** A front end as the broker knows it: parsed, defaults filled in. */
export interface FrontEndSettings {
  /** The client id of OAuth clients; for a session front end part of its cookie's name, `__Host-session-ID`. */
  readonly id: string
  /** How it gets its tokens. */
  readonly kind: FrontEndKind
  /** Exact serialized origins; two front ends may share one. */
  readonly origins: readonly string[]
  /** Where a sign-in may end; `undefined` means any path of the origins. */
  readonly returnUrls: readonly string[] | undefined
  /** An OAuth client's redirect URIs; none for a session front end. */
  readonly redirectUris: readonly string[]
  /** OAuth clients: whether a browser that signed in at another front end is signed in here without a question. */
  readonly singleSignOn: boolean
  /** Where the browser may go after a sign-out. */
  readonly signedOutUrls: readonly string[]
  readonly prompts: readonly Prompt[]
  readonly apis: readonly ApiSettings[]
}

/** cookie: a session cookie, on the broker's own site. oauth: codes and refresh handles, on any site. */
export type FrontEndKind = 'session' | 'oauth'

/** An API that a front end may get access tokens for. */
export interface ApiSettings {
  readonly name: string
  /** As the provider writes them; all of one resource. */
  readonly scopes: readonly string[]
}

/** `none` is an OAuth client's question; for a session front end GET /session is the same question. */
const promptsOf: Readonly<Record<FrontEndKind, readonly Prompt[]>> = {
  session: ['login', 'select_account', 'consent'],
  oauth: ['login', 'select_account', 'consent', 'none'],
}
const scopesOfOpenId: readonly string[] = ['openid', 'profile', 'email', 'offline_access']

const exampleOrigin = 'https://app.example.com'
// Not more than checkOrigin takes; what a pattern cannot say (canonical form, real ports) the check says.
const originPattern = String.raw`^(https://[a-z0-9._:\[\]-]+|http://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]{1,5})?)$`
/** RFC 6749 §3.3: scope-token; none of `scopesOfOpenId`. */
const scopePattern = String.raw`^(?!(openid|profile|email|offline_access)$)[\x21\x23-\x5b\x5d-\x7e]+$`
const urlPattern = String.raw`^https?://[^\s#\\@]+$`

const unique = refusingMembers((members) => findRepeated(listOf(members), [], 'Name it once.'))

const origin = z
  .string()
  .check(refusing(checkOrigin), z.meta({ pattern: originPattern, examples: [exampleOrigin, 'http://localhost:5173'] }))

const url = (examples: string[]) =>
  z.string().check(z.maxLength(1024), refusing(checkUrl), z.meta({ pattern: urlPattern, examples }))

const api = z.strictObject({
  name: z.string().check(
    z.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/),
    z.meta({
      description: 'What the front end calls it: the member `api` of POST /session/token.',
      examples: ['orders'],
    }),
  ),
  scopes: z.array(z.string().check(z.maxLength(256), refusing(checkScope), z.meta({ pattern: scopePattern }))).check(
    z.minLength(1),
    z.maxLength(20),
    unique,
    z.meta({
      uniqueItems: true,
      description:
        'Scopes at the identity provider, in full. Entra ID has the resource, a slash, the permission, and all of one resource, for an access token has one audience. openid, profile and offline_access are added by the broker.',
      examples: [['api://demo/orders.read']],
    }),
  ),
})

const frontEnd = z
  .strictObject({
    id: z.string().check(
      z.regex(/^[a-z0-9][a-z0-9-]{0,31}$/),
      z.meta({
        description:
          'Its name. For a session front end the parameter `frontend`, and part of its cookie, __Host-session-ID; for an OAuth client its `client_id`.',
        examples: ['spa'],
      }),
    ),
    kind: z._default(z.enum(['session', 'oauth']), 'session').check(
      z.meta({
        description:
          'How it gets its tokens. cookie: a session cookie; it shares a site with the broker. oauth: authorization code and refresh token, as a public OAuth client; on any site.',
      }),
    ),
    origins: z.array(origin).check(
      z.minLength(1),
      z.maxLength(20),
      unique,
      z.meta({
        uniqueItems: true,
        description:
          'Its origins, exactly as a browser sends them in the header Origin: https, or http on loopback; no path and no slash at the end.',
        examples: [[exampleOrigin]],
      }),
    ),
    returnUrls: z.optional(
      z.array(url([`${exampleOrigin}/signed-in`])).check(
        z.minLength(1),
        z.maxLength(50),
        unique,
        z.meta({
          uniqueItems: true,
          description:
            'Narrows where a sign-in may end: these exact URLs on its origins. Without it, every path of the origins.',
          examples: [[`${exampleOrigin}/signed-in`]],
        }),
      ),
    ),
    redirectUris: z.optional(
      z.array(url([`${exampleOrigin}/callback`])).check(
        z.minLength(1),
        z.maxLength(50),
        unique,
        z.meta({
          uniqueItems: true,
          description:
            'OAuth clients: its redirect URIs, compared exactly; https, or http on loopback. The port of http://127.0.0.1 and http://[::1] is free (RFC 8252 §7.3).',
          examples: [[`${exampleOrigin}/callback`]],
        }),
      ),
    ),
    singleSignOn: z._default(z.boolean(), false).check(
      z.meta({
        description:
          'OAuth clients: true signs a browser in silently that has signed in at another front end of this broker. Otherwise the person chooses the account first.',
      }),
    ),
    signedOutUrls: z.optional(
      z.array(url([`${exampleOrigin}/goodbye`])).check(
        z.minLength(1),
        z.maxLength(50),
        unique,
        z.meta({
          uniqueItems: true,
          description: 'Where the browser may go after a sign-out, exactly. Without it, the root of each origin.',
          examples: [[`${exampleOrigin}/goodbye`]],
        }),
      ),
    ),
    prompts: z.optional(z.array(z.enum(promptsOf.oauth)).check(unique)).check(
      z.meta({
        uniqueItems: true,
        description:
          'Values of `prompt` that GET /login passes on; all of them where it is left out. none: OAuth clients only.',
      }),
    ),
    apis: z._default(z.array(api).check(z.maxLength(50), refusingMembers(checkNamesOnce)), []).check(
      z.meta({
        description: 'APIs that it may get access tokens for. May be empty: then it only learns who is signed in.',
      }),
    ),
  })
  .check(refusingMembers(checkReturnUrlsOnOrigins), refusingMembers(checkKind))

/** What may stand in `Broker__FrontEnds`. */
export const frontEndsSchema = z.array(frontEnd).check(
  z.maxLength(100),
  refusingMembers(checkIdsOnce),
  z.meta({
    title: 'Front ends of the certificate token broker',
    description: 'The value of the app setting Broker__FrontEnds: the front ends that may send people here to sign in.',
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
 * @param text as set; nothing in it is trusted yet
 * @param name what the setting is called, for the problems
 * @param isEntra whether scopes are named as Entra ID does; other providers do as they like
 * @returns the front ends, or everything that is wrong with them
 */
export function parseFrontEnds(
  text: string,
  name: string,
  { isEntra = true }: { readonly isEntra?: boolean } = {},
): readonly FrontEndSettings[] | SettingProblem[] {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    // The parser's message quotes the text; only its position is taken from it.
    const position = /at position (\d+)/.exec(String(error))?.[1]
    return [
      {
        setting: name,
        problem: `is not JSON${position === undefined ? '' : ` (at character ${Number(position) + 1})`}`,
        fix: 'Write one JSON array: names and texts in double quotes, no comma behind the last member.',
      },
    ]
  }
  const parsed = z.safeParse(frontEndsSchema, json)
  const foreign = isEntra ? findForeignScopes(json, name) : []
  if (!parsed.success || foreign.length > 0) {
    const issues = parsed.error?.issues ?? []
    const problems = [...issues.flatMap((issue) => describeIssue(issue, json, name)), ...foreign]
    // One a place: what is not an array is not also "too long".
    return problems.filter(({ setting }, index) => problems.findIndex((one) => one.setting === setting) === index)
  }
  return parsed.data.map(({ returnUrls, redirectUris, signedOutUrls, prompts, ...rest }) => ({
    ...rest,
    returnUrls,
    redirectUris: redirectUris ?? [],
    prompts: prompts ?? promptsOf[rest.kind],
    signedOutUrls: signedOutUrls ?? rest.origins.map((origin) => `${origin}/`),
  }))
}

/** Tells the two answers of `parseFrontEnds` apart. */
export function areProblems(answer: readonly FrontEndSettings[] | SettingProblem[]): answer is SettingProblem[] {
  return answer.some((one) => 'problem' in one)
}

function checkOrigin(value: string): Refusal | undefined {
  const problem = findFlawOfOrigin(value)
  if (problem === undefined) return undefined
  return {
    problem,
    fix: `Write it as a browser sends it in the header Origin: scheme and host in small letters (other alphabets as xn--…), the port only where it isn't the scheme's own, no slash at the end: ${exampleOrigin}, or http://localhost:5173 on a laptop.`,
  }
}

function findFlawOfOrigin(value: string): string | undefined {
  const flaw = findFlaw(value)
  if (flaw !== undefined) return flaw
  if (!isSecureOrLoopback(value)) return 'is http away from loopback'
  const { origin } = new URL(value)
  if (value === origin) return undefined
  if (value === `${origin}/`) return 'has a slash at the end'
  if (new URL(value).href !== `${origin}/`) return 'has a path, a query or a fragment'
  return 'is not written as a browser writes an origin'
}

function checkUrl(value: string): Refusal | undefined {
  const problem = findFlaw(value) ?? findFlawOfUrl(value)
  if (problem === undefined) return undefined
  return {
    problem,
    fix: `Write one exact URL as a browser's address bar shows it: https (http on loopback), host in small letters, at least a slash behind the host, no fragment: ${exampleOrigin}/signed-in.`,
  }
}

function findFlawOfUrl(value: string): string | undefined {
  if (value.includes('#')) return 'has a fragment'
  if (!isSecureOrLoopback(value)) return 'is http away from loopback'
  return value === new URL(value).href ? undefined : 'is not written as a browser writes it'
}

function checkScope(value: string): Refusal | undefined {
  if (scopesOfOpenId.includes(value)) {
    return {
      problem: 'is no scope of an API',
      fix: 'Leave it out: the broker adds openid, profile and offline_access.',
    }
  }
  return new RegExp(scopePattern).test(value)
    ? undefined
    : { problem: 'has characters that a scope cannot have', fix: fixOfScope }
}

const fixOfScope = 'Write the resource, a slash and the permission, as the provider shows it: api://orders/orders.read.'

/** What Entra ID would refuse once the person has signed in. */
function findForeignScopes(json: unknown, name: string): SettingProblem[] {
  return listOf(json).flatMap((one, frontEnd) =>
    listOf(memberOf(one, 'apis')).flatMap((member, index) => {
      const place = `${name}[${frontEnd}].apis[${index}].scopes`
      const scopes = listOf(memberOf(member, 'scopes')).map((scope) => (typeof scope === 'string' ? scope : ''))
      const together = checkScopesTogether(scopes)
      return [
        ...scopes.flatMap((scope, at) =>
          scope === '' || /[^/]\/[^/]+$/.test(scope)
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
      fix: 'Make an API of each resource: an access token is for one audience (what stands before the last slash of a scope).',
    }
  }
  if (scopes.length > 1 && scopes.some((scope) => scope.endsWith('/.default'))) {
    return { problem: 'mix .default with other scopes', fix: 'Write either .default alone or the scopes by name.' }
  }
  return undefined
}

function resourceOf(scope: string): string {
  return scope.slice(0, Math.max(0, scope.lastIndexOf('/')))
}

function checkNamesOnce(apis: unknown) {
  return findRepeated(membersOf(apis, 'name'), ['name'], 'Give each API of a front end its own name.')
}

function checkIdsOnce(frontEnds: unknown) {
  return findRepeated(membersOf(frontEnds, 'id'), ['id'], 'Give each front end its own id.')
}

function checkReturnUrlsOnOrigins(frontEnd: unknown) {
  const origins = listOf(memberOf(frontEnd, 'origins'))
  return listOf(memberOf(frontEnd, 'returnUrls')).flatMap((address, index) =>
    typeof address !== 'string' || !URL.canParse(address) || origins.includes(new URL(address).origin)
      ? []
      : [
          {
            path: ['returnUrls', index],
            problem: "is on none of this front end's origins",
            fix: 'Register its origin under origins, or remove it.',
          },
        ],
  )
}

/** Members that belong to the other way would be without effect, and somebody would believe in them. */
function checkKind(frontEnd: unknown) {
  const has = (member: string) => memberOf(frontEnd, member) !== undefined
  const refuse = (member: string, problem: string, fix: string) => [{ path: [member], problem, fix }]
  const remove = 'Remove it, or change the kind.'
  if (memberOf(frontEnd, 'kind') === 'oauth') {
    return [
      ...(has('redirectUris')
        ? []
        : refuse('redirectUris', 'is missing', 'Register where codes are sent: https://app.example.com/callback.')),
      ...(has('returnUrls')
        ? refuse('returnUrls', 'belongs to a session front end', 'Write redirectUris instead.')
        : []),
      ...(listOf(memberOf(frontEnd, 'apis')).length > 0
        ? []
        : refuse('apis', 'is empty', 'Name an API: an OAuth client receives access tokens and nothing else.')),
    ]
  }
  return [
    ...(has('redirectUris') ? refuse('redirectUris', 'belongs to an OAuth client', remove) : []),
    ...(memberOf(frontEnd, 'singleSignOn') === true
      ? refuse('singleSignOn', 'belongs to an OAuth client', remove)
      : []),
    ...(listOf(memberOf(frontEnd, 'prompts')).includes('none')
      ? refuse(
          'prompts',
          'has none, which belongs to an OAuth client',
          'Remove none; GET /session answers the same question.',
        )
      : []),
  ]
}

function findRepeated(values: readonly unknown[], member: string[], fix: string) {
  return values.flatMap((value, index) =>
    value === undefined || values.indexOf(value) === index
      ? []
      : [{ path: [index, ...member], problem: 'is there twice', fix }],
  )
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function membersOf(list: unknown, member: string): readonly unknown[] {
  return listOf(list).map((one) => memberOf(one, member))
}

function memberOf(value: unknown, member: PropertyKey): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[member] : undefined
}

/** Our own words for zod's issues: they name the place and the fix, and nothing that was written there. */
function describeIssue(issue: z.core.$ZodIssue, json: unknown, name: string): SettingProblem[] {
  const setting =
    name + issue.path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('')
  const refusal = refusalOf(issue)
  if (refusal) return [{ setting, ...refusal }]
  const say = (problem: string, fix: string) => [{ setting, problem, fix }]
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ setting: `${setting}${memberName(key)}`, ...unknownMember(key, issue.path) }))
    case 'invalid_type':
      return valueAt(json, issue.path) === undefined
        ? say('is missing', 'Add it; docs/front-ends.schema.json describes it.')
        : say(`is not ${withArticle(issue.expected)}`, 'docs/front-ends.schema.json shows how it is written.')
    case 'invalid_value':
      return issue.path.at(-1) === 'kind'
        ? say(
            'is not a kind of front end',
            valueAt(json, issue.path) === 'cookie'
              ? 'Write "session"; "cookie" is the former name.'
              : 'Write "session" or "oauth".',
          )
        : say(
            'is none of the values that are taken',
            `Write ${issue.values.map((value) => `"${String(value)}"`).join(', ')}.`,
          )
    case 'invalid_format':
      return issue.path.at(-1) === 'id'
        ? say('is no front end id', 'Write 1 to 32 small letters, digits and hyphens, a letter or digit first.')
        : say(
            'is no API name',
            'Write 1 to 64 letters, digits, dots, hyphens and underscores, a letter or digit first.',
          )
    case 'too_small':
      return say('is empty', `Name at least ${Number(issue.minimum)}, or leave the member out where it is optional.`)
    case 'too_big':
      return say(
        'is too long',
        `At most ${Number(issue.maximum)} ${issue.origin === 'string' ? 'characters' : 'entries'}.`,
      )
    default:
      return say('is not what is expected', 'docs/front-ends.schema.json shows how it is written.')
  }
}

function unknownMember(key: string, path: readonly PropertyKey[]): Refusal {
  // The name of this member before 0.2.
  if (key === 'way' && !path.includes('apis'))
    return { problem: 'has a new name', fix: 'Write kind: "session" or "oauth".' }
  const known = Object.keys((path.includes('apis') ? api : frontEnd).def.shape)
  const nearest = findNearestName(key, known)
  return {
    problem: 'is unknown',
    fix: nearest === undefined ? `Remove it; known are ${known.join(', ')}.` : `Did you mean ${nearest}?`,
  }
}

/** A member's name as it may be shown: something pasted in the wrong place is not a name. */
function memberName(key: string): string {
  return /^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(key) ? `.${key}` : '.(a member)'
}

function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce(memberOf, json)
}

function withArticle(expected: string): string {
  return expected === 'array' || expected === 'object' ? `an ${expected}` : `a ${expected}`
}

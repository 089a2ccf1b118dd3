/**
 * The parameters of `/login` for session front ends, and the hints that the broker passes on to the provider. OpenID
 * Connect Core §3.1.2.1.
 */
import { BrokerError, parameterInvalid, parameterRepeated } from '../errors/errors.ts'
import { defined } from '../json/json.ts'
import type { Prompt } from '../settings/front-ends.schema.ts'
import { checkChallenge, longestChallenge } from './claims-challenge.ts'
import type { FrontEnd } from './front-ends.ts'
import { scopesOf } from './scopes.ts'
import { wordsOf, uniqueWordsOf } from './space-separated.ts'

/** Checked values that the broker passes on to the provider. */
export interface Hints {
  /** Each once; `none` is alone. */
  readonly prompts: readonly Prompt[]
  readonly loginHint: string | undefined
  readonly domainHint: string | undefined
  readonly claims: string | undefined
  readonly uiLocales: string | undefined
  /** Authentication context classes, the preferred one first; separated by spaces. */
  readonly acrValues?: string | undefined
  /** Requested scopes; all are registered for one API of the front end. */
  readonly extraScopes: readonly string[]
}

/**
 * Every parameter of `/login`. Others are refused by name: a silently dropped one would look accepted. Only parameters
 * that advertising networks and mail programs add to links, unknown to the front end, are ignored.
 */
const loginParameters = [
  'frontend',
  'return_url',
  'prompt',
  'login_hint',
  'domain_hint',
  'claims',
  'ui_locales',
  'scope',
  'provider',
  'api',
  'acr_values',
  'max_age',
] as const

/** Click identifiers and campaign tags, as their vendors document them. None has a meaning for a sign-in. */
const linkDecoration =
  /^(?:utm_[a-z_]+|_gl|_ga|gclid|gclsrc|dclid|gbraid|wbraid|gad_source|gad_campaignid|srsltid|fbclid|igshid|msclkid|twclid|ttclid|yclid|ysclid|li_fat_id|epik|ScCid|rdt_cid|mc_[ce]id|mkt_tok|_hsenc|_hsmi|__hs[a-z]+|hsCtaTracking|_kx|vero_id|oly_(?:anon|enc)_id|piwik_[a-z]+|pk_[a-z]+|mtm_[a-z]+|matomo_[a-z]+|s_cid|trk_[a-z]+)$/

const loginRoute = { path: '/login', accepts: loginParameters }

export type LoginParameters = Readonly<Partial<Record<(typeof loginParameters)[number], string>>>

/** The longest value of each; docs/openapi.json has the same. */
export const loginParameterLimits: Readonly<Record<(typeof loginParameters)[number], number>> = {
  frontend: 64,
  return_url: 4096,
  prompt: 64,
  login_hint: 512,
  domain_hint: 255,
  claims: longestChallenge,
  ui_locales: 100,
  scope: 2048,
  provider: 32,
  api: 64,
  acr_values: 512,
  max_age: 9,
}

/**
 * @param query of `/login`; untrusted
 * @param route another route with some of the parameters
 * @throws {BrokerError} `parameter_repeated`, `parameter_invalid`
 */
export function parseLoginParameters(
  query: URLSearchParams,
  route: { readonly path: string; readonly accepts: readonly (typeof loginParameters)[number][] } = loginRoute,
): LoginParameters {
  const parameters: Record<string, string> = {}
  for (const [name, value] of query) {
    const known = route.accepts.find((parameter) => parameter === name)
    if (!known && linkDecoration.test(name)) continue
    if (!known) throw parameterInvalid(name, `not accepted by ${route.path}`)
    if (parameters[known] !== undefined) throw parameterRepeated(known)
    if (value.length > loginParameterLimits[known]) {
      throw parameterInvalid(known, 'too long')
    }
    if (hasControlCharacter(value)) {
      throw parameterInvalid(known, 'control characters')
    }
    parameters[known] = value
  }
  return parameters
}

/**
 * The parameters of a request that was refused, as far as a link may repeat them.
 *
 * @param query untrusted
 * @returns without a parameter that is ambiguous, empty, too long or unknown
 */
export function readLoginParameters(query: URLSearchParams): LoginParameters {
  return Object.fromEntries(
    loginParameters.flatMap((name) => {
      const [value = '', ...others] = query.getAll(name)
      const isSound = value !== '' && value.length <= loginParameterLimits[name] && !hasControlCharacter(value)
      return isSound && others.length === 0 ? [[name, value]] : []
    }),
  )
}

/**
 * @param parameters untrusted
 * @returns those about the sign-in that `/login` accepts for the session front end
 */
export function acceptedHints(parameters: LoginParameters, frontEnd: FrontEnd): LoginParameters {
  const isAccepted = (name: keyof LoginParameters): boolean => {
    if (['frontend', 'return_url', 'provider'].includes(name) || parameters[name] === undefined) return false
    try {
      // A scope belongs to the API that is named beside it.
      checkHints(defined({ api: name === 'scope' ? parameters.api : undefined, [name]: parameters[name] }), frontEnd)
      return true
    } catch {
      return false
    }
  }
  return Object.fromEntries(loginParameters.filter(isAccepted).map((name) => [name, parameters[name]]))
}

/**
 * @throws {BrokerError} `prompt_not_registered`, `scope_not_registered`, `api_unknown`,
 *   `claims_not_allowed`, `parameter_invalid`
 */
export function checkHints(parameters: LoginParameters, frontEnd: FrontEnd): Hints {
  const { domain_hint: domainHint } = parameters
  const uiLocales = parameters.ui_locales === undefined ? undefined : languagesIn(parameters.ui_locales)
  if (uiLocales && (uiLocales.length === 0 || !uiLocales.every(isLanguageTag))) {
    throw parameterInvalid('ui_locales', 'not language tags')
  }
  if (domainHint !== undefined && !/^[A-Za-z0-9.-]{1,255}$/.test(domainHint)) {
    throw parameterInvalid('domain_hint', 'not a domain')
  }
  const { max_age: maxAge } = parameters
  const acrValues = parameters.acr_values === undefined ? undefined : wordsOf(parameters.acr_values)
  if (acrValues && (acrValues.length === 0 || !areAcrs(acrValues))) {
    throw parameterInvalid('acr_values', 'not a list of values')
  }
  if (maxAge !== undefined && !/^\d+$/.test(maxAge)) {
    throw parameterInvalid('max_age', 'not a number of seconds')
  }
  return {
    prompts: parameters.prompt === undefined ? [] : promptsOf(parameters.prompt, frontEnd),
    acrValues: acrValues?.join(' '),
    loginHint: parameters.login_hint,
    domainHint,
    claims: parameters.claims === undefined ? undefined : checkChallenge(parameters.claims),
    uiLocales: uiLocales?.join(' '),
    extraScopes:
      parameters.api === undefined
        ? checkScopes(parameters.scope, frontEnd)
        : scopesOf(frontEnd, parameters.api, parameters.scope),
  }
}

/**
 * OpenID Connect Core §3.1.2.1: a list of values, separated by spaces and compared with regard to case. A repeated
 * value counts once.
 */
function promptsOf(text: string, frontEnd: FrontEnd): readonly Prompt[] {
  const wanted = uniqueWordsOf(text)
  const prompts = frontEnd.prompts.filter((registered) => wanted.includes(registered))
  if (wanted.length === 0 || prompts.length < wanted.length) throw new BrokerError('prompt_not_registered')
  if (prompts.includes('none') && prompts.length > 1) throw parameterInvalid('prompt', 'none beside another value')
  return prompts
}

/**
 * @param text `ui_locales`, separated by spaces; untrusted
 * @returns its members; languages of operating systems and of Java have an underscore, `en_US`
 */
function languagesIn(text: string): readonly string[] {
  return wordsOf(text.replaceAll('_', '-'))
}

function isLanguageTag(text: string): boolean {
  return /^[A-Za-z0-9-]{2,35}$/.test(text)
}

function checkScopes(text: string | undefined, frontEnd: FrontEnd): readonly string[] {
  const scopes = wordsOf(text)
  const registered = new Set(frontEnd.apis.flatMap((api) => api.scopes))
  if (scopes.some((scope) => !registered.has(scope))) throw new BrokerError('scope_not_registered')
  // An access token is for one API. The provider would refuse a mixture only after the person has signed in.
  if (scopes.length > 0 && !frontEnd.apis.some((api) => scopes.every((scope) => api.scopes.includes(scope)))) {
    throw parameterInvalid('scope', 'scopes of more than one API')
  }
  return scopes
}

const mostAcrValues = 10
/** The characters of `acr_values` and of an essential `acr`: those of a URI, without quotes and brackets. */
const acrPattern = /^[\w.~:/#?=&%+@!$*,;-]{1,128}$/

/** @param values untrusted */
export function areAcrs(values: readonly unknown[]): values is readonly string[] {
  return values.length <= mostAcrValues && values.every((value) => typeof value === 'string' && acrPattern.test(value))
}

/**
 * The preferences of an OAuth client. OpenID Connect Core §15.1: their use is no error, so the values that the broker
 * does not support are ignored.
 *
 * @param limits the most characters of each
 */
export function supportedPreferences(
  { ui_locales: locales, acr_values: acrs }: Pick<LoginParameters, 'ui_locales' | 'acr_values'>,
  limits: { readonly ui_locales: number; readonly acr_values: number },
): Pick<LoginParameters, 'ui_locales' | 'acr_values'> {
  const languages = languagesIn(locales ?? '').filter(isLanguageTag)
  const classes = wordsOf(acrs).filter((one) => areAcrs([one]))
  return defined({
    ui_locales: joined(languages, limits.ui_locales),
    acr_values: joined(classes.slice(0, mostAcrValues), limits.acr_values),
  })
}

/** @returns the words that fit, separated by spaces; undefined for none */
function joined(words: readonly string[], mostCharacters: number): string | undefined {
  const text = words.reduce((before, word) => {
    const longer = before === '' ? word : `${before} ${word}`
    return longer.length > mostCharacters ? before : longer
  }, '')
  return text === '' ? undefined : text
}

export function hasControlCharacter(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- the function looks for control characters
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)
}

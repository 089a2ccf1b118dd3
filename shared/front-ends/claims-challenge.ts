/**
 * Claims challenges: the value of `claims` by which an API requires another access token (conditional access), passed
 * on by a front end. OpenID Connect Core §5.5.
 */
import { BrokerError } from '../errors/errors.ts'
import { isObject } from '../json/json.ts'

type Members = Readonly<Record<string, unknown>>

/** The most characters of `claims` at a route of session front ends. */
export const longestChallenge = 4096

/**
 * Claims about the access token that a conditional access challenge may request;
 * `capolids` is the provider's own name for one.
 */
const claimNames = new Set(['acrs', 'xms_cc', 'xms_rp_ipaddr', 'nbf', 'capolids', 'polids', 'cnf', 'deviceid'])

/**
 * @param text `claims` of a request for a token; untrusted
 * @returns undefined for an empty one, and for one that requires nothing: a capability of the client alone
 * @throws {BrokerError} `claims_not_allowed`
 */
export function parseChallenge(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined
  if (text.length > longestChallenge) throw refused()
  const challenge = checkChallenge(text)
  return challenge === '{"access_token":{}}' ? undefined : challenge
}

/**
 * `claims` of a refresh. MSAL sends the claims request of its sign-in with each refresh (OpenID Connect Core §5.5): the
 * parts about ID token and userinfo are ignored, since the grant has decided them.
 *
 * @param text untrusted
 * @returns the claims challenge in it; undefined where there is none
 * @throws {BrokerError} `claims_not_allowed`
 */
export function parseRefreshChallenge(text: string | undefined): string | undefined {
  if (text === undefined || text === '' || text.length > longestChallenge) return parseChallenge(text)
  const { id_token: idToken, userinfo, ...challenge } = parseClaims(text)
  const ignored = [idToken, userinfo].filter((one) => one !== undefined && one !== null)
  for (const one of ignored) membersOf(one)
  if (ignored.length > 0 && Object.keys(challenge).length === 0) return undefined
  return parseChallenge(JSON.stringify(challenge))
}

/**
 * Checks a challenge by an allow-list: a forged one could request any claim about a person.
 *
 * @param text untrusted
 * @returns the challenge, serialized again from the accepted members
 * @throws {BrokerError} `claims_not_allowed`
 */
export function checkChallenge(text: string): string {
  const challenge = parseClaims(text)
  if (Object.keys(challenge).some((member) => member !== 'access_token')) throw refused()
  const requested = membersOf(challenge.access_token)
  for (const [name, wanted] of Object.entries(requested)) {
    if (!claimNames.has(name)) throw refused()
    if (wanted === null) continue
    for (const [member, value] of Object.entries(membersOf(wanted))) {
      const isSound =
        (member === 'essential' && typeof value === 'boolean') ||
        (member === 'value' && isShortText(value)) ||
        // The provider's documentation spells it both ways.
        (/^[vV]alues$/.test(member) && Array.isArray(value) && value.length <= 20 && value.every(isShortText))
      if (!isSound) throw refused()
    }
  }
  // A capability of the broker, which its settings name and no link.
  const passedOn = Object.entries(requested).filter(([name]) => name !== 'xms_cc')
  return JSON.stringify({ access_token: Object.fromEntries(passedOn) })
}

/**
 * An API sends its challenge in base64 or base64url (`WWW-Authenticate`), and a front end may pass it on as it came.
 * JSON of an object has a brace.
 *
 * @param text `claims`; untrusted
 * @throws {BrokerError} `claims_not_allowed` where it is not a JSON object
 */
export function parseClaims(text: string): Members {
  const json = /^[\w+/-]+={0,2}$/.test(text) ? Buffer.from(text, 'base64').toString() : text
  let claims: unknown
  try {
    claims = JSON.parse(json)
  } catch {
    throw refused()
  }
  return membersOf(claims)
}

/** @throws {BrokerError} `claims_not_allowed` where it is not a JSON object */
export function membersOf(value: unknown): Members {
  if (!isObject(value)) throw refused()
  return value
}

function isShortText(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 512
}

function refused(): BrokerError {
  return new BrokerError('claims_not_allowed')
}

/**
 * Client capabilities: `xms_cc` in the parameter `claims` (Entra ID, continuous access evaluation). With `cp1` Entra ID
 * may answer with a claims challenge as soon as a person is blocked or the network changes, in place of an access token
 * that expires soon.
 */
import { isObject } from '../json/json.ts'

/** The capability to pass on claims challenges. */
export const handlesChallenges = 'cp1'

/**
 * Merges as MSAL does at the token endpoint (`buildMergedClaims`): a capability is a property of the application, so
 * the settings decide, and one in the challenge is replaced. A link could otherwise claim one for the broker.
 *
 * @param claims a claims request whose members were checked; undefined where there is none
 * @param capabilities of the provider's profile
 * @returns the value of `claims` to send; undefined where it would be empty
 */
export function withCapabilities(claims: string | undefined, capabilities: readonly string[]): string | undefined {
  const { access_token, ...others } = JSON.parse(claims ?? '{}') as Readonly<Record<string, unknown>>
  const accessToken = new Map(Object.entries(isObject(access_token) ? access_token : {}))
  accessToken.delete('xms_cc')
  if (capabilities.length > 0) accessToken.set('xms_cc', { values: capabilities })
  const merged = { ...others, ...(accessToken.size > 0 ? { access_token: Object.fromEntries(accessToken) } : {}) }
  return Object.keys(merged).length > 0 ? JSON.stringify(merged) : undefined
}

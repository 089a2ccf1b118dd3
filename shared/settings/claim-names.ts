/** Names of claims that a front end may register. Front ends receive these claims beside those of the protocol. */
import type { Refusal } from './settings-error.ts'

/** A letter first; URLs too, since some providers require a namespace for claims of their own. */
export const claimNamePattern = String.raw`^[A-Za-z][\w.:/-]{0,127}$`

/** Claims that the broker issues in the protocol, or that only a party of the protocol may interpret. */
const protocolClaims: ReadonlySet<string> = new Set(
  [
    // RFC 7519 §4.1; OpenID Connect Core §2, §3.1.3.6, §3.3.2.11; FAPI 1.0; RFC 7800; RFC 8693; RFC 8417.
    'iss sub aud exp nbf iat jti nonce azp sid at_hash c_hash s_hash acr auth_time typ cnf act may_act events',
    'client_id scope login_hint oid tid',
    // Entra ID: about the token, not about the person.
    'scp ver uti rh aio azpacr appid appidacr idp hasgroups xms_cc',
    // The broker's own.
    'claims_omitted groups_overage',
  ].flatMap((names) => names.split(' ')),
)

/** @returns the reason why a registration may not have this name */
export function checkClaimName(name: string): Refusal | undefined {
  // Without regard to case: some libraries of clients compare names so.
  if (protocolClaims.has(name.toLowerCase())) {
    return {
      problem: 'is a claim of the protocol',
      fix: 'Remove it: the broker sets the claims of the protocol itself. docs/front-ends.md lists the members that every front end receives.',
    }
  }
  // A page that copies members into an object would replace a function, or the prototype.
  if (name in Object.prototype || name === 'prototype') {
    return { problem: 'is a name of JavaScript itself', fix: 'Give the claim another name at the provider.' }
  }
  return new RegExp(claimNamePattern).test(name)
    ? undefined
    : {
        problem: 'is not a name of a claim',
        fix: 'Write up to 128 letters, digits and _ . : / -, a letter first: roles, or https://app.example.com/roles.',
      }
}

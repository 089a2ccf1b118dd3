/** `typ` in the header of a client assertion, RFC 7515 §4.1.9. draft-ietf-oauth-rfc7523bis §4 has the second one. */
export const assertionTypes = ['JWT', 'client-authentication+jwt'] as const

export type AssertionType = (typeof assertionTypes)[number]

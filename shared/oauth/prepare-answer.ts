/** The parts of an answer of `/token` that can fail. A fault must leave the code or the refresh token unused. */

/**
 * @param openid granted OpenID scopes
 * @throws {BrokerError} as the part that fails
 */
export type PrepareAnswer = (openid: readonly string[]) => Promise<void>

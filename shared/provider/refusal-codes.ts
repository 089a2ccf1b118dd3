/**
 * The one table of Entra's `error_codes` that speak of the certificate. Microsoft warns that codes may change, so they
 * are a hint: they make the broker try another version once, and nothing else depends on them.
 */
const codes: ReadonlyMap<number, string> = new Map([
  [700027, 'the key is not registered'],
  [700024, 'outside its validity'],
  [7000214, 'the certificate was revoked'],
  [7000277, 'the certificate was revoked'],
  [1000502, 'the certificate has expired'],
])

/** Whether a refusal of the token endpoint speaks of the certificate. */
export function isAboutCertificate(answer: Readonly<Record<string, unknown>>): boolean {
  return (
    answer.error === 'invalid_client' &&
    Array.isArray(answer.error_codes) &&
    answer.error_codes.some((code) => typeof code === 'number' && codes.has(code))
  )
}

/** The domain of an email address or a user name, read so that every other reader of the address finds the same one. */

/**
 * @param address of a token; untrusted
 * @returns the domain in lower case; undefined for a text that is not one address, such as
 *   `ceo@contoso.com@partner.example`. A letter outside ASCII that becomes one inside it in lower case (U+212A, the
 *   Kelvin sign) is not accepted
 */
export function domainOf(address: unknown): string | undefined {
  const [, domain] = (typeof address === 'string' && /^[^@\s]{1,64}@([a-z0-9.-]{1,253})$/i.exec(address)) || []
  return domain?.toLowerCase()
}

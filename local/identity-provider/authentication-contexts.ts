/**
 * Authentication contexts and client capabilities, as Entra reads them from the parameter `claims`: `acrs` requires a
 * second factor, and `xms_cc` names what the application can handle.
 */

/** Requests about the access token, by name of the claim. */
type Requests = Readonly<Record<string, unknown>>

/** @param text of the parameter `claims`; anything that is not JSON requests nothing */
export function requestedContexts(text: string | undefined): readonly string[] {
  const { acrs } = accessTokenRequests(text)
  if (typeof acrs !== 'object' || acrs === null) return []
  const { value, values } = acrs as { value?: unknown; values?: unknown }
  const named: readonly unknown[] = Array.isArray(values) ? values : [value]
  return named.filter((one): one is string => typeof one === 'string')
}

/** True where the application handles claims challenges (continuous access evaluation). */
export function isContinuous(text: string | undefined): boolean {
  const { xms_cc } = accessTokenRequests(text) as { xms_cc?: { values?: unknown } | null }
  return Array.isArray(xms_cc?.values) && xms_cc.values.includes('cp1')
}

function accessTokenRequests(text = '{}'): Requests {
  try {
    const { access_token } = JSON.parse(text) as { access_token?: Requests | null }
    return access_token ?? {}
  } catch {
    return {}
  }
}

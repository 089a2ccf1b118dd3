/** Prevents redirect loops: a sign-in without a click is counted in the tab, and works only so often in a row. */
import { BrokerError } from './broker-error.ts'

/**
 * @param key of the client, and of the API where an API requires the sign-in
 * @param most the most automatic sign-ins in a row
 * @throws {BrokerError} `sign_in_loop`, also where the browser has no storage to count in
 */
export function checkAutomatic(key: string, most: number): void {
  if (!navigator.userActivation.isActive && count(key) >= most) throw new BrokerError({ code: 'sign_in_loop' })
}

/**
 * @param to the new count; one more where left out
 * @returns the count of before; infinite where there is no storage
 */
export function count(key: string, to?: number): number {
  try {
    const before = Number(sessionStorage.getItem(key))
    sessionStorage.setItem(key, String(to ?? before + 1))
    return before
  } catch {
    return Infinity
  }
}

/** A React hook for the session: re-renders the component at each change. */
import { useSyncExternalStore } from 'react'
import type { Client, State } from './index.ts'

/** @param client made once by `createClient`, outside the component */
export function useSession(client: Pick<Client, 'subscribe' | 'getState'>): State {
  return useSyncExternalStore(client.subscribe, client.getState, client.getState)
}

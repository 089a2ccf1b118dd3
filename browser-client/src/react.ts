/** A React hook for the session: re-renders the component at each change. */
import { useSyncExternalStore } from 'react'
import type { Client, Person, Session, State } from './client.ts'

/** @param client made once by `createClient` or `createOAuthClient`, outside the component */
export function useSession<Who extends Person = Session>(
  client: Pick<Client<Who>, 'subscribe' | 'getState'>,
): State<Who> {
  return useSyncExternalStore(client.subscribe, client.getState, client.getState)
}
